"""The host programs of several versions beside each other: which of them stay."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from components.remote.client import programs
from components.remote.client.ssh import Master

SAY = [("say", b'echo "$MO_TOOL"')]


class Here(Master):
    """A host that is this machine."""

    def __init__(self) -> None:
        pass

    @property
    def destination(self) -> str:
        return "host"

    def command(self) -> list[str]:
        return ["sh", "-c", "exec sh -s"]

    def slot(self) -> int:
        return os.open(os.devnull, os.O_RDONLY)


def version(tools: Path, name: str, days: float) -> Path:
    """The programs of a version that was brought ``days`` ago."""
    folder = tools / name
    folder.mkdir(parents=True)
    (folder / "say").write_text('echo "$MO_TOOL"\n')
    (folder / "done").write_text("done\n")
    then = time.time() - days * 86400
    for path in (folder / "done", folder):
        os.utime(path, (then, then))
    return folder


def test_programs_that_were_started_within_thirty_days_stay_when_another_version_comes(tmp_path: Path) -> None:
    tools = tmp_path / "root of host/.deploy/.tool"
    used, unused, unfinished = (version(tools, name * 16, 40) for name in "abc")
    (unfinished / "done").unlink()
    os.utime(unfinished, (0, 0))
    started = subprocess.run(["sh", "-c", programs.boot(str(used), "say", SAY)], capture_output=True, text=True, check=True)
    assert (started.stdout, started.stderr) == (f"{used}\n", "")
    new = tools / ("d" * 16)
    programs._send(Here(), str(new))
    assert sorted(tools.iterdir()) == [used, new]
    assert not unused.exists()
    assert (new / "switch").read_text() == (Path(programs.HOST_FOLDER) / "switch").read_text()


def test_programs_on_a_file_system_that_cannot_be_written_run_too(tmp_path: Path) -> None:
    folder = version(tmp_path, "a" * 16, 1)
    (folder / "done").unlink()
    (folder / "done").mkdir()  # what no redirection can open, also for root
    command = programs.boot(str(folder), "say", SAY).replace("test -f", "test -e")
    for shell in (["sh"], ["busybox", "sh"], ["bash", "--posix"]):
        started = subprocess.run([*shell, "-c", command], capture_output=True, text=True, check=True)
        assert (started.stdout, started.stderr) == (f"{folder}\n", "")


@pytest.mark.parametrize("shell", ["sh", "busybox sh"])
def test_a_program_that_was_changed_on_the_host_is_not_started(tmp_path: Path, shell: str) -> None:
    folder = version(tmp_path, "a" * 16, 1)
    (folder / "common").write_text("# sourced\n")
    command = [*shell.split(), "-c", programs.boot(str(folder), "say", [("common", b"# sourced"), *SAY])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{folder}\n"
    for name, text in (("common", "# sourced, changed\n"), ("say", 'echo "$MO_TOOL" >&2\n'), ("common", None)):
        kept = (folder / name).read_text()
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stdout) == (79, "")
        assert "@altered" in refused.stderr.splitlines()
        (folder / name).write_text(kept)


def test_what_is_brought_is_what_is_expected_there(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    programs._send(Here(), str(tool))
    for name, text in programs.files():
        assert (tool / name).read_bytes() == programs.there(text)
