"""``local.Command``: what its child gets, what it leaves, how it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from embedded.providers import command
from embedded.providers.base import ProviderError, Resource
from embedded.values import UNKNOWN, Asset, Secret

RESOURCE = Resource("urn:pulumi:dev::p::command:local:Command::stamp", "command:local:Command")


class Said:
    """Collects what a provider reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, severity: str, message: str, *, urn: str = "", ephemeral: bool = False) -> None:
        assert ephemeral
        self.lines.append(message)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def made(tmp_path: Path, said: Said) -> command.CommandProvider:
    return command.provider("1.2.1", str(tmp_path), said)


def create(made: command.CommandProvider, **inputs: Any) -> dict[str, Any]:
    return made.create(RESOURCE, inputs, preview=False, timeout=0)[1]


def test_runs_in_the_project_directory_with_stdin_and_environment(made: command.CommandProvider, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    outputs = create(
        made, create='cat; printf " %s %s" "$LABEL" "$HOME"; pwd >&2', stdin="in", environment={"LABEL": "x"}, dir="below"
    )
    assert outputs["stdout"] == f"in x {os.environ['HOME']}"
    assert outputs["stderr"] == str(tmp_path / "below")


def test_takes_off_one_end_of_line(made: command.CommandProvider) -> None:
    assert create(made, create="printf 'a\\n\\n'")["stdout"] == "a\n"


def test_the_interpreter_gets_the_command_as_last_argument(made: command.CommandProvider) -> None:
    assert create(made, create="hello", interpreter=["/bin/echo", "-n"])["stdout"] == "hello"


def test_a_time_limit_ends_a_command_and_what_it_started(made: command.CommandProvider) -> None:
    started = time.monotonic()
    with pytest.raises(ProviderError, match="signal: killed: running"):
        made.create(RESOURCE, {"create": "sleep 60 & sleep 60"}, preview=False, timeout=0.2)
    assert time.monotonic() - started < 30


def test_reports_lines_of_the_streams_that_are_logged(made: command.CommandProvider, said: Said) -> None:
    create(made, create="echo out; echo err >&2", logging="stderr")
    assert said.lines == ["err"]
    create(made, create="echo out; echo err >&2", logging="none")
    assert said.lines == ["err"]


def test_a_failure_tells_status_command_and_output(made: command.CommandProvider) -> None:
    with pytest.raises(ProviderError) as caught:
        create(made, create='echo "half"; exit 3')
    assert str(caught.value) == 'exit status 3: running "echo \\"half\\"; exit 3":\nhalf\n'


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"create": "kill -9 $$"}, "signal: killed: running"),
        (
            {"create": "x", "interpreter": ["no-such-program"]},
            'exec: "no-such-program": executable file not found in $PATH: running',
        ),
        ({"create": "x", "interpreter": ["/no/such"]}, "fork/exec /no/such: no such file or directory: running"),
        ({"create": "true", "dir": "nowhere"}, "nowhere: no such file or directory: running"),
        ({"create": "true\x00"}, "fork/exec /bin/sh: invalid argument: running"),
        ({"create": "true", "environment": {"BIG": "x" * 300_000}}, "fork/exec /bin/sh: argument list too long: running"),
    ],
)
def test_what_cannot_run_is_told_in_one_sentence(made: command.CommandProvider, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ProviderError) as caught:
        create(made, **inputs)
    assert words in str(caught.value)


def test_an_update_runs_update_or_else_create_and_knows_the_output_before(made: command.CommandProvider) -> None:
    old = {"create": "x", "stdout": "before", "stderr": ""}

    def update(news: dict[str, Any]) -> dict[str, Any]:
        return made.update(RESOURCE, {}, old, news, preview=False, timeout=0, ignore_changes=[])

    shown = 'printf "[%s]" "$PULUMI_COMMAND_STDOUT"'
    assert update({"create": "x", "update": shown})["stdout"] == "[before]"
    assert update({"create": shown})["stdout"] == "[before]"
    assert update({"create": shown, "addPreviousOutputInEnv": False})["stdout"] == "[]"


def test_a_preview_runs_nothing(made: command.CommandProvider, tmp_path: Path) -> None:
    identity, outputs = made.create(RESOURCE, {"create": "touch ran"}, preview=True, timeout=0)
    assert identity.startswith("stamp")
    assert (outputs["stdout"], outputs["stderr"]) == (UNKNOWN, UNKNOWN)
    made.update(RESOURCE, {}, outputs, {"create": "touch ran"}, preview=True, timeout=0, ignore_changes=[])
    assert not (tmp_path / "ran").exists()


def test_a_preview_of_an_update_knows_outputs_unless_an_input_changes(made: command.CommandProvider) -> None:
    old = {"create": "a", "environment": {"A": "1"}}

    def planned(**changed: Any) -> Any:
        outputs = {**old, "stdout": "was", "stderr": ""}
        return made.update(RESOURCE, old, outputs, {**old, **changed}, preview=True, timeout=0, ignore_changes=[])["stdout"]

    assert planned(update="b") == "was"
    assert planned(environment={"A": "2"}) == UNKNOWN
    assert planned(update=UNKNOWN) == UNKNOWN


def test_a_delete_runs_delete_only(made: command.CommandProvider, tmp_path: Path) -> None:
    made.delete(RESOURCE, {}, {"create": "touch ran", "stdout": ""}, timeout=0)
    made.delete(RESOURCE, {}, {"create": "touch ran", "delete": 'echo "$PULUMI_COMMAND_STDOUT" > gone', "stdout": "was"}, timeout=0)
    assert (tmp_path / "gone").read_text() == "was\n"
    assert not (tmp_path / "ran").exists()


def test_wrappers_of_inputs_are_kept(made: command.CommandProvider) -> None:
    secret = Secret("open sesame")
    outputs = create(made, create="true", stdin=secret, environment={"A": "b", "C": secret})
    assert outputs["stdin"] == secret
    assert outputs["environment"] == {"A": "b", "C": secret}
    assert outputs["stdout"] == ""


def test_a_secret_that_a_command_prints_is_masked_and_its_output_becomes_secret(made: command.CommandProvider, said: Said) -> None:
    outputs = create(made, create="cat; echo fine >&2", stdin=Secret("open sesame"))
    assert outputs["stdout"] == Secret("open sesame")
    assert outputs["stderr"] == "fine"
    assert "open sesame" not in "".join(said.lines)
    with pytest.raises(ProviderError) as caught:
        create(made, create="cat; exit 1", stdin=Secret("open sesame"))
    assert "open sesame" not in str(caught.value)
    assert "[secret]" in str(caught.value)


def test_large_streams_and_an_unread_stdin_do_not_block(made: command.CommandProvider) -> None:
    outputs = create(
        made, create="head -c 300000 /dev/zero | tr '\\0' a; head -c 300000 /dev/zero | tr '\\0' b >&2", stdin="x" * 1_000_000
    )
    assert (len(outputs["stdout"]), len(outputs["stderr"])) == (300_000, 300_000)


def test_output_that_is_no_text_is_replaced(made: command.CommandProvider) -> None:
    assert create(made, create="printf '\\377ok'")["stdout"] == "\ufffdok"


def test_path_patterns_pick_files(made: command.CommandProvider, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("one.txt", "two.txt", "a/three.txt", "a/secret.js", "b.js"):
        (tmp_path / name).write_text(name)
    outputs = create(made, create="true", assetPaths=["*.txt", "!two*", "a/**", "!**secret.*", "{b,c}.j?"])
    assert sorted(outputs["assets"]) == ["a/three.txt", "b.js", "one.txt"]
    assert outputs["assets"]["one.txt"] == Asset(
        {"hash": outputs["assets"]["one.txt"].fields["hash"], "path": str(tmp_path / "one.txt")}
    )


def test_an_archive_of_files_has_the_digest_that_go_gives(made: command.CommandProvider, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/two").write_text("2")
    (tmp_path / "one").write_text("1")
    archive = create(made, create="true", archivePaths=["**"])["archive"]
    assert archive.fields["hash"] == "1f908a246e0b46ee40d86d672abbb50f1c14aac175b37b8fd9b35f87dc733e59"
    assert sorted(archive.fields["assets"]) == ["dir/two", "one"]


def test_differences_are_told_by_path(made: command.CommandProvider) -> None:
    old = {"create": "a", "environment": {"L": "1", "a.b": "x"}, "triggers": ["t"], "stdout": ""}
    new = {"create": Secret("a"), "environment": {"L": "2"}, "triggers": ["t", UNKNOWN], "update": "u"}
    diff = made.diff(RESOURCE, {}, old, new, [])
    assert diff.detailed is not None
    assert {path: entry["kind"] for path, entry in diff.detailed.items()} == {
        "environment.L": "update",
        'environment["a.b"]': "delete",
        "triggers[1]": "add",
        "update": "add",
    }
    assert diff.diffs == ["environment", "triggers", "update"]
    assert not diff.replaces
    assert made.diff(RESOURCE, {}, old, {**new, "triggers": UNKNOWN}, []).replaces == ["triggers"]
    assert made.diff(RESOURCE, {}, {"create": "a", "stdout": "x", "stderr": ""}, {"create": "a"}, []).changes == "none"


@pytest.mark.parametrize(
    "inputs",
    [
        {"create": 7},
        {"nonsense": "x"},
        {"triggers": "t"},
        {"environment": {"A": 1}},
        {"logging": "loud"},
        {"interpreter": "sh"},
        {"dir": ["x"]},
    ],
)
def test_inputs_of_another_type_are_refused(made: command.CommandProvider, inputs: dict[str, Any]) -> None:
    _, failures = made.check(RESOURCE, {}, inputs, b"")
    assert [failure.property for failure in failures] == list(inputs)


def test_unknown_inputs_pass_the_check(made: command.CommandProvider) -> None:
    inputs = {"create": UNKNOWN, "environment": {"A": UNKNOWN}, "triggers": [UNKNOWN]}
    assert made.check(RESOURCE, {}, inputs, b"") == (inputs, [])


def test_the_invoke_gives_back_its_arguments_and_the_output(made: command.CommandProvider) -> None:
    result, failures = made.invoke("command:local:run", {"command": "printf $W", "environment": {"W": Secret("hush hush")}})
    assert not failures
    assert result == {"command": "printf $W", "environment": {"W": "hush hush"}, "stdout": "hush", "stderr": ""}
    assert made.invoke("command:local:run", {})[1]


def test_other_types_and_functions_are_refused_by_name(made: command.CommandProvider) -> None:
    with pytest.raises(ProviderError, match=r"command:remote:Command is not supported by the embedded engine.*Pulumi CLI"):
        made.check(Resource("urn", "command:remote:Command"), {}, {}, b"")
    with pytest.raises(ProviderError, match="command:remote:run is not supported"):
        made.invoke("command:remote:run", {})


def test_a_terminals_interrupt_does_not_reach_a_command_but_kill_children_does(
    made: command.CommandProvider, tmp_path: Path
) -> None:
    outcome: list[str] = []
    handler = signal.getsignal(signal.SIGINT)

    def work() -> None:
        try:
            create(made, create="echo $$ > pid; sleep 60 & wait")
        except ProviderError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    pid = tmp_path / "pid"
    end = time.monotonic() + 20
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    child = int(pid.read_text())
    assert os.getpgid(child) != os.getpgid(0)
    command.kill_children()
    thread.join(20)
    assert outcome
    assert outcome[0].startswith(("signal: terminated", "signal: killed"))
    assert subprocess.run(["kill", "-0", str(child)], capture_output=True, check=False).returncode != 0
    assert signal.getsignal(signal.SIGINT) is handler
