"""Up is safe to repeat and mends what died; down leaves nothing; a taken port is named with who has it."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import account, lifecycle, processes
from sandbox.layout import Layout, SandboxError, web_profile
from tests.sandbox_fixture import CLONE, Sandbox, free_base

pytestmark = pytest.mark.sandbox


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A sandbox that is not up yet; taken down afterwards."""
    with free_base() as base:
        made = Layout(Path(f"/var/tmp/mo-sandbox-test-{os.getpid()}-own"), CLONE, base)
        try:
            yield made
        finally:
            lifecycle.down(made)


def _pids(layout: Layout) -> dict[str, int | None]:
    return {state.name: state.pid for state in lifecycle.status(layout)}


def test_down_leaves_no_process_no_account_no_file_and_no_link(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "catalog").symlink_to(CLONE / "catalog")
    (tmp_path / "sandbox").symlink_to(CLONE / "sandbox")
    clone = Layout(layout.directory, tmp_path, layout.base)
    site = lifecycle.up(clone)
    assert clone.link.readlink() == clone.directory
    # What a killed deploy leaves: a host program and a session that outlive everything.
    options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    login = ["ssh", *options, "-i", str(clone.key), "-p", str(clone.port("ssh")), f"{site.user}@127.0.0.1"]
    subprocess.run([*login, "nohup setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!"], check=True, capture_output=True)
    subprocess.run(
        [*login, f"mkdir {clone.root}/frozen && touch {clone.root}/frozen/file && chmod 555 {clone.root}/frozen"], check=True
    )
    assert processes.of_sandbox(clone, account.own(clone))
    lifecycle.down(clone)
    assert processes.of_sandbox(clone, account.own(clone)) == []
    assert not clone.directory.exists()
    assert not clone.lock.exists()
    assert not clone.link.is_symlink()
    if os.geteuid() == 0:
        assert site.user not in {entry.pw_name for entry in pwd.getpwall()}
    lifecycle.down(clone)


def test_a_second_up_changes_nothing_and_is_quick(sandbox: Sandbox) -> None:
    before = _pids(sandbox.layout)
    began = time.monotonic()
    said: list[str] = []
    lifecycle.up(sandbox.layout, link=False, say=said.append)
    assert time.monotonic() - began < 2
    assert said == []
    assert _pids(sandbox.layout) == before
    assert None not in before.values()


@pytest.mark.parametrize("part", lifecycle.parts(Layout(Path("/"), CLONE, web=web_profile(os.environ))))
def test_up_mends_a_part_that_was_killed_and_leaves_the_others_alone(sandbox: Sandbox, part: str) -> None:
    before = _pids(sandbox.layout)
    sandbox.kill(part)
    assert _pids(sandbox.layout)[part] is None
    sandbox.up()
    after = _pids(sandbox.layout)
    assert after[part] not in (None, before[part])
    assert {k: v for k, v in after.items() if k != part} == {k: v for k, v in before.items() if k != part}


def test_stopping_keeps_the_data(sandbox: Sandbox) -> None:
    with contextlib.closing(sandbox.mariadb()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")
    key = sandbox.layout.host_key.read_bytes()
    lifecycle.down(sandbox.layout, keep_data=True)
    assert set(_pids(sandbox.layout).values()) == {None}
    sandbox.up()
    with contextlib.closing(sandbox.mariadb()) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'kept'") == 1
        cursor.execute("DROP DATABASE kept")
    assert sandbox.layout.host_key.read_bytes() == key


def test_a_taken_port_is_named_with_its_process_and_ups_at_the_same_time_end_with_one_sandbox(layout: Layout) -> None:
    code = (
        "import socket,sys,time; s=socket.create_server(('127.0.0.1',int(sys.argv[1]))); print('ready',flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(layout.port("http"))], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(SandboxError) as refused:
            lifecycle.up(layout, link=False)
        assert f"Port {layout.port('http')} (for http) is taken by process {other.pid} ({sys.executable} -c import socket" in str(
            refused.value
        )
        assert "MO_SANDBOX_PORT" in str(refused.value)
        assert other.poll() is None
        assert set(_pids(layout).values()) == {None}
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()
    assert not layout.data.exists() or not any(layout.data.iterdir())
    _up_three_times_at_once(layout)
    assert None not in _pids(layout).values()


def test_other_ports_and_a_changed_catalogue_are_taken_over_by_the_next_up(layout: Layout, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalog"
    catalogue.mkdir()
    text = (CLONE / "catalog" / "services.yaml").read_text()
    (catalogue / "services.yaml").write_text(text)
    (tmp_path / "sandbox").symlink_to(CLONE / "sandbox")
    clone = Layout(layout.directory, tmp_path, layout.base)
    lifecycle.up(clone, link=False)
    new = {
        "title": "Extra",
        "host": "extra",
        "path": "extra",
        "technology": "static",
        "runtime": "files",
        "source": "x",
        "stacks": ["sandbox"],
    }
    (catalogue / "services.yaml").write_text(f"{text}\n  extra: {json.dumps(new)}\n")
    said: list[str] = []
    site = lifecycle.up(clone, link=False, say=said.append)
    assert said == [f"{clone.web}: reloaded"]
    (clone.root / "extra" / "index.html").write_text("extra")
    assert _eventually(lambda: Sandbox(site).get("extra").body == "extra")
    with free_base() as other:
        moved = Layout(clone.directory, tmp_path, other)
        assert Sandbox(lifecycle.up(moved, link=False)).get("extra").body == "extra"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", clone.port("https"))) != 0
        lifecycle.down(moved)


def test_a_folder_that_is_no_sandbox_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    layout = Layout(folder, CLONE)
    with pytest.raises(SandboxError, match="is no sandbox"):
        lifecycle.up(layout, link=False)
    with pytest.raises(SandboxError, match="is no sandbox"):
        lifecycle.down(layout)
    assert (folder / "thesis.txt").read_text() == "years of work"


def _up_three_times_at_once(layout: Layout) -> None:
    problems: list[BaseException] = []

    def bring_up() -> None:
        try:
            lifecycle.up(layout, link=False)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=bring_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def _eventually(true: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if true():
                return True
        time.sleep(0.1)
    return False
