"""``logs`` finds what the host wrote, whatever is live; the deployment log has a line for each release that went live or was put back."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from components.remote.client.programs import HOST_FOLDER
from operations.commands.logs import told_once

from .conftest import Remote, Service

pytestmark = pytest.mark.sandbox


def found(service: Service, key: str | None = "votes", lines: int = 40, **more: object) -> dict[str, Any]:
    of = {} if key is None else {"service": key, "target": service.target, "domain": service.domain, **more}
    return service.remote.run("logs", lines=lines, **of)


def went(service: Service, key: str | None = "votes") -> list[str]:
    """The deployment log without its times."""
    lines = found(service, key)["deployments"]
    assert all(len(line.split(" ")[0]) == 20 and line[19] == "Z" for line in lines)
    return [line.partition(" ")[2] for line in lines]


@pytest.mark.parametrize("strategy", ["symlink", "in-place"])
def test_both_logs_are_found_after_a_failed_first_deploy_and_in_place(service: Service, strategy: str) -> None:
    service.extra["strategy"] = strategy
    (service.remote.root / "logs").mkdir()
    (service.remote.root / "logs/error.log").write_text(
        f"2026/11/25 20:05:33 [error] PHP Fatal error in {service.path}/index.php\n"
    )
    bad = service.stage({"index.html": "!500"})
    restart = {"command": ["sh", "-c", "echo @fail said by the tool; exit 1"], "budget": 1}
    service.remote.refused("switch", **service.request(bad, runtime="process", restart=restart))
    assert not service.path.exists()
    told = found(service)
    assert told["log"].endswith(f"-{bad}-restart.log")
    assert told["lines"] == ["@fail said by the tool"]
    assert [line.rpartition("/")[2] for line in told["errors"]] == ["index.php"]
    assert went(service) == [f"votes - -> {bad} put back at restart"]
    one = service.deploy({"index.html": "one"})["live"]
    told = found(service)
    assert (told["lines"], len(told["errors"])) == (["@fail said by the tool"], 1)
    assert went(service)[1:] == [f"votes - -> {one} live"]


def test_the_process_s_own_output_is_shown_and_a_failed_activation_quotes_its_last_lines(service: Service) -> None:
    own = service.remote.root / "logs/votes.log"
    own.parent.mkdir()
    own.write_text("said by the release before\n")
    own.chmod(0o666)
    assert found(service, "votes")["output_lines"] == ["said by the release before"]
    bad = service.stage({"index.html": "!500"})
    dies = f"printf 'Starting\\n\\nImportError: no module named vote\\n' >> '{own}'; echo it ended >&2; exit 1"
    restart = {"command": ["sh", "-c", dies], "budget": 1}
    sentence = service.remote.refused("switch", **service.request(bad, runtime="process", restart=restart))
    assert "ended with code 1: it ended; its last output: Starting | ImportError: no module named vote; log: " in sentence
    assert "the release before" not in sentence
    starts = f"for n in 1 2 3 4 5 6; do echo line $n; done >> '{own}'"
    restart = {"command": ["sh", "-c", starts], "budget": 1}
    probe = {**service.request(bad)["probe"], "timeout": 1}
    sentence = service.remote.refused("switch", **service.request(bad, runtime="process", restart=restart, probe=probe))
    assert "500" in sentence
    assert "; its last output: line 2 | line 3 | line 4 | line 5 | line 6" in sentence
    told = found(service, lines=2)
    assert (told["output"], told["output_lines"]) == ("logs/votes.log", ["line 5", "line 6"])
    # Where the log was rotated meanwhile, or is written elsewhere, nothing wrong is quoted.
    rotates = {"command": ["sh", "-c", f"echo new > '{own}'; exit 1"], "budget": 1}
    sentence = service.remote.refused("switch", **service.request(bad, runtime="process", restart=rotates))
    assert "; its last output: new; log: " in sentence
    own.unlink()
    assert (found(service)["output"], found(service)["output_lines"]) == (None, [])
    silent = {"command": ["sh", "-c", "exit 1"], "budget": 1}
    assert "last output" not in service.remote.refused("switch", **service.request(bad, runtime="process", restart=silent))


def test_the_deployment_log_has_a_line_for_each_release_that_went_live_or_was_put_back(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    bad, two = service.stage({"index.html": "!500"}), service.stage({"index.html": "two"})
    service.remote.refused("switch", **service.request(bad))
    service.switch(two)
    service.switch(two)
    # As a run leaves it that was killed before its look at the site.
    (service.base / "switching").write_text(
        f"j_phase='renamed' j_release='{two}' j_previous='{one}' j_snapshot='' j_offline='' j_kind='link'\n"
    )
    service.remote.own(service.base / "switching")
    probe = {**service.request(bad)["probe"], "timeout": 1}
    service.remote.refused("switch", **service.request(bad, runtime="process", probe=probe))
    other = Service(service.remote, service.site, "docs")
    three = other.deploy({"index.html": "three"})["live"]
    expected = [
        f"votes - -> {one} live",
        f"votes {one} -> {bad} stopped at candidate",
        f"votes {one} -> {two} live",
        f"votes {two} -> {one} put back after a killed run",
        f"votes {one} -> {bad} put back at probe",
    ]
    assert went(service) == expected
    assert set(went(service, None)) == {*expected, f"docs - -> {three} live"}
    assert len(found(service, lines=2)["deployments"]) == 2
    log = service.remote.root / ".deploy/deployment.log"
    assert log.stat().st_mode & 0o777 == 0o600
    # Full, it becomes the one before, and both are read; where nothing can be written there, the deploy goes on.
    log.write_text("2026-11-21T09:00:00Z votes - -> r0 live\n" * 30_000)
    service.switch(two)
    assert log.read_text().count("\n") == 1
    assert went(service)[-2:] == ["votes - -> r0 live", f"votes {one} -> {two} live"]
    log.unlink()
    log.mkdir()
    assert service.switch(one)["notes"] == []


@pytest.mark.parametrize("state", ["to be made", "ours", "not ours", "a link", "a pipe", "full and not to be renamed"])
def test_the_deployment_log_is_in_var_log_where_it_can_be_written(remote: Remote, state: str) -> None:
    var, root = remote.folder / "var", remote.root
    system, own = var / "deployment.log", root / ".deploy/deployment.log"
    var.mkdir()
    own.parent.mkdir()
    remote.own(own.parent)
    if state == "a link":
        (var / "elsewhere").touch()
        system.symlink_to("elsewhere")
    elif state == "a pipe":
        os.mkfifo(system)
    elif state == "full and not to be renamed":
        system.write_text("x" * 1_000_000)
        (var / "deployment.log.1/deployment.log").mkdir(parents=True)
    elif state != "to be made":
        system.touch(0o600)
    if state == "not ours":
        os.chown(var, 0, 0)
    else:
        remote.own(var)
    script = f". {HOST_FOLDER}/deployment-log; system_log='{system}' q_root='{root}' q_service=votes"
    script += "; write_deployment '' r1 live; read_deployments"
    account = remote.sshd.account
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    done = subprocess.run(["timeout", "10", "sh", "-c", script], capture_output=True, text=True, check=False, **who)  # type: ignore[call-overload]
    assert (done.stderr, done.returncode) == ("", 0)
    assert "Z votes - -> r1 live\n" in done.stdout
    expected = system if state in ("to be made", "ours") else own
    assert expected.read_text().endswith("Z votes - -> r1 live\n")
    assert expected.stat().st_mode & 0o777 == 0o600
    assert own.exists() == (expected == own)


def test_of_the_error_log_whole_entries_of_the_service_are_shown(service: Service) -> None:
    apex, votes = "mo.localhost", "votes.mo.localhost"
    entries = [
        f'2026/11/25 20:05:33 [error] 1#1: *{n} FastCGI sent in stderr: "PHP Fatal error:  canary\nStack trace:\n#0 {{main}}\n'
        f'  thrown in x" while reading, server: {votes}, host: "{votes}:28443"\n'
        for n in (7, 8)
    ]
    others = [
        f"2026/11/25 20:06:00 [error] 1#1: *9 is forbidden, client: 127.0.0.1, server: {apex}, request\n",
        "[Sat Nov 21 09:00:00 2026] PHP Warning in /w/.deploy/votes/releases/r1/index.php\n",
        f"2026/11/25 20:06:01 [error] server: {apex}.example.org\n2026/11/25 20:06:02 [error] server: www.{apex}\n",
    ]
    (service.remote.root / "logs").mkdir()
    (service.remote.root / "logs/error.log").write_text("".join([*entries, *others]))
    mine = found(service, "main", domain=apex, target="main")["errors"]
    assert [line.rpartition(" ")[2] for line in mine] == ["request", f"www.{apex}"]
    mine = found(service, domain=votes)["errors"]
    assert (len(mine), "canary" in mine[0], mine[-1].endswith("/.deploy/votes/releases/r1/index.php")) == (9, True, True)
    once = told_once(mine)
    assert [line.endswith("  (2 times)") for line in once] == [True] * 4 + [False]
    assert "canary" in json.dumps(once[0])
