"""The operator's commands, with an engine and a host that only record what they are asked."""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from components.facts import Facts, FactsError, RunFacts
from operations import engine, project, remote, rotation, settings
from operations.app import app, register
from operations.commands import logs, rotate
from operations.deployment import ending, owner
from operations.deployment.forward import is_nothing
from operations.deployment.outcome import Outcome as Phase
from operations.deployment.update import told_once
from operations.engine import Outcome
from operations.problem import Problem
from operations.progress import Progress
from tests.unit.components.program import artefact, loaded, put
from tests.unit.operations.test_records import summary_of

URN = "urn:pulumi:test::mo-deploy::mo:deploy:Platform$command:local:Command::"
register()


class FakeEngine:
    """A stack in memory: ``live`` releases, a history, and what ``up`` shall say."""

    live: ClassVar[dict[str, str]]
    updates: ClassVar[list[Any]]
    outcome: ClassVar[Outcome] = Outcome(True)
    previewed: ClassVar[Outcome] = Outcome(True)
    events: ClassVar[list[dict[str, Any]]]
    asked: ClassVar[list[tuple[str, dict[str, Any]]]]
    snapshot_requests: ClassVar[list[tuple[str, str, str | None]]]
    issues: ClassVar[list[str]]

    def __init__(self, stack: str, root: Path = Path()) -> None:
        self.name, self.root = stack, project.ROOT

    def stop(self) -> None:
        """What a run that has lost its lock asks for."""

    def preview(self, config: Path, on_event: Callable[[Mapping[str, Any]], None], *, verbose: bool = False) -> Outcome:
        self._run("verbose preview" if verbose else "preview", config, on_event)
        return self.previewed

    def up(self, config: Path, message: str, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        done = self._run(message, config, on_event)
        if done.ok:
            type(self).live = {**self.live, **(self.asked[-1][1].get("mo:releases") or {})}
        return done

    def _run(self, what: str, config: Path, on_event: Callable[[Mapping[str, Any]], None]) -> Outcome:
        self.asked.append((what, yaml.safe_load(config.read_text())["config"]))
        for event in self.events:
            on_event(event)
        return self.outcome

    def resources(self) -> list[Mapping[str, Any]]:
        return self.state().resources

    def state(self) -> engine.State:
        resources: list[Mapping[str, Any]] = [
            {
                "type": "command:local:Command",
                "urn": f"{URN}{key}-switch",
                "inputs": {"stdin": json.dumps({"service": key})},
                "outputs": {"stdout": json.dumps({"live": release})},
            }
            for key, release in self.live.items()
        ]
        return engine.State(resources, ())

    def history(self) -> list[Any]:
        return list(reversed(self.updates))


class Issues:
    """GitHub's issues, only written down."""

    def __init__(self, fake: type[FakeEngine]) -> None:
        self.fake = fake

    def __getattr__(self, what: str) -> Callable[..., Phase]:
        def told(*_: object) -> Phase:
            self.fake.issues.append(what)
            return Phase("issue", True, f"issue {what}", {"number": 1})

        return told


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """A project with a stack ``staging`` of two services, a fake engine and a site that answers."""
    (tmp_path / "Pulumi.staging.yaml").write_text("config:\n  mo:domain: example.org\n  mo:gates: {required: []}\n")
    monkeypatch.setattr(project, "ROOT", tmp_path)
    monkeypatch.setattr(project.stack_file, "__defaults__", (tmp_path,))
    fake: type[FakeEngine] = type(
        "Fake", (FakeEngine,), {"live": {}, "updates": [], "events": [], "asked": [], "snapshot_requests": [], "issues": []}
    )
    monkeypatch.setattr(engine, "Engine", fake)
    _host(monkeypatch, tmp_path, Facts())
    monkeypatch.setattr(ending, "issues_of", lambda _loaded, _stack: Issues(fake))

    def answer(_root: Path, _stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "snapshot":
            fake.snapshot_requests.append((request["service"], request["action"], request.get("name")))
            made = [
                {"name": "2026-old", "release": "ra", "at": "2026-11-21T09:02:00Z", "for": "rb", "bytes": 1500},
                {"name": "2026-new", "release": "rb", "at": "2026-11-21T09:03:00Z", "for": "rb", "pinned": True},
                {"name": "2027", "for": "rc"},
            ]
            return {"snapshots": made, "made": "2027-fresh"}
        if step == "lock":
            return {"done": True}
        if step == "journal":
            return {"runs": []}
        assert step == "health"
        told: dict[str, dict[str, Any]] = {asked["service"]: {"status": 200, "ms": 4} for asked in request["services"]}
        if "admin_stg" in told and fake.live.get("admin_stg") == "rbad":
            told["admin_stg"] = {"problem": "admin_stg: answers 500 instead of 200"}
        return {"services": told}

    monkeypatch.setattr(remote, "run", answer)
    return fake


def _mo(*arguments: str, answer: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), input=answer)
    if isinstance(done.exception, Problem):
        return done.exception.code, f"mo: {done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_deploy_hands_the_release_set_to_the_engine_and_leaves_the_stacks_file(stack: type[FakeEngine], tmp_path: Path) -> None:
    api = put(tmp_path, artefact("api_stg"))
    stack.live = {"admin_stg": "r" + "1" * 16}
    before = (tmp_path / "Pulumi.staging.yaml").read_text()
    code, text = _mo("deploy", "--stack", "staging", "--yes")
    assert code == 0, text
    (looked, _), (message, config) = stack.asked
    assert looked == "preview"
    assert message.startswith("deploy api_stg (by ")
    assert config["mo:releases"] == {"api_stg": api.release, "admin_stg": "r" + "1" * 16}
    assert (tmp_path / "Pulumi.staging.yaml").read_text() == before
    assert not list((tmp_path / ".mo" / "staging").glob("update-*"))
    assert stack.issues == ["begin", "end"]
    assert len(list((tmp_path / "quality-reports").glob("deployment-*.md"))) == 1


def test_a_plan_changes_nothing_and_a_no_stops(stack: type[FakeEngine], tmp_path: Path) -> None:
    put(tmp_path, artefact("api_stg"))
    put(tmp_path, artefact("admin_stg"))
    stack.events = [
        {"diagnostic": {"urn": URN + "api_stg", "severity": "info", "message": "api_stg: r1 → r2", "ephemeral": False}},
        {"summary": {"update": 3, "same": 5}},
    ]
    code, text = _mo("deploy", "--stack", "staging", "--plan")
    assert (code, text) == (0, "api_stg: r1 → r2\nresources: 3 to update\n")
    assert _mo("deploy", "--stack", "staging", "--plan", "--verbose") == (code, text)
    assert stack.asked.pop()[0] == "verbose preview"
    code, text = _mo("deploy", "--stack", "staging", answer="n\n")
    assert (code, text.splitlines()[-1]) == (3, "Nothing was changed.")
    assert [what for what, _ in stack.asked] == ["preview", "preview"]
    code, text = _mo("deploy", "--stack", "staging", "--yes")
    assert (code, "api_stg: r1 → r2\nresources: 3 to update\n" in text) == (0, True), "it shows what it is about to do"
    assert [what == "preview" for what, _ in stack.asked] == [True, True, True, False]


def test_a_red_gate_ends_the_preview_with_its_own_words(stack: type[FakeEngine], tmp_path: Path) -> None:
    put(tmp_path, artefact("api_stg"))
    stack.events = [
        {"diagnostic": {"urn": "", "severity": "error", "message": "error: coverage: 70, 80 needed", "ephemeral": False}}
    ]
    stack.previewed = Outcome(False, "program exited with non-zero exit code: 1")
    assert _mo("deploy", "--stack", "staging", "--plan") == (1, "mo: coverage: 70, 80 needed")
    code, text = _mo("deploy", "--stack", "staging", "--yes")
    assert (code, text.splitlines()[-1]) == (1, "mo: coverage: 70, 80 needed")
    assert [what for what, _ in stack.asked] == ["preview", "preview"]


def test_of_a_red_gate_the_program_tells_once_with_the_way_out() -> None:
    stop = "The quality gates stop this deploy, and nothing was changed:\n  coverage: 70, 80 needed"
    pack = "Policy gates-provenance refuses gate: A report is whole. coverage: coverage.xml proves nothing. Run the tool again."
    other = "Policy gates-waivers refuses gate: eslint: expired."
    assert told_once([pack, other, stop]) == [
        other,
        stop,
        "Make the reports anew: bin/mo gates --run. What stays red is mended, or waived (docs/gates.md).",
    ]
    assert told_once([pack]) == [pack]


def test_a_failed_service_makes_the_command_fail_and_is_named_last(stack: type[FakeEngine], tmp_path: Path) -> None:
    put(tmp_path, artefact("api_stg"))
    urn = URN + "api_stg-switch"
    stack.events = [
        {"failed": {"urn": urn, "type": "command:local:Command", "op": "update", "outputs": {}}},
        {"diagnostic": {"urn": urn, "severity": "error", "message": "api_stg: no space", "ephemeral": False}},
    ]
    stack.outcome = Outcome(False, "update failed")
    code, text = _mo("deploy", "--stack", "staging", "--yes")
    assert code == 1
    assert "✗ api_stg: no space" in text.splitlines()[-3:]


def test_a_site_that_does_not_answer_makes_the_command_fail(stack: type[FakeEngine], tmp_path: Path) -> None:
    put(tmp_path, artefact("api_stg"))
    stack.live = {"admin_stg": "rbad"}
    code, text = _mo("deploy", "--stack", "staging", "--yes")
    assert code == 1
    assert "✗ admin_stg: answers 500 instead of 200" in text


def test_a_rollback_says_where_it_goes_why_and_by_whom(stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "anna")
    old, new = {"api_stg": "ra", "admin_stg": "ra"}, {"api_stg": "rb", "admin_stg": "rb"}
    stack.updates = [summary_of(1, old), summary_of(2, new)]
    stack.live = new
    code, text = _mo("rollback", "--stack", "staging", "--yes", "--only", "api_stg", "--reason", "the login is broken")
    assert code == 0, text
    ((message, config),) = stack.asked
    assert message == "rollback to update 1: the login is broken"
    assert config["mo:releases"] == {"api_stg": "ra", "admin_stg": "rb"}
    assert config["mo:rollback"].pop("time").endswith("Z")
    assert config["mo:rollback"] == {"update": 1, "reason": "the login is broken", "author": f"anna@{socket.gethostname()}"}


def test_a_report_takes_the_last_deployment_back_once(stack: type[FakeEngine]) -> None:
    old, new = {"api_stg": "ra", "admin_stg": "ra"}, {"api_stg": "rb", "admin_stg": "rb"}
    stack.updates = [summary_of(1, old), summary_of(2, new)]
    stack.live = new
    told = ("rollback", "--stack", "staging", "--yes", "--trigger", "critical-bug", "--reason", "critical-bug, issue #12")
    ended = "2026-11-21T09:02:00Z"  # of the second
    code, text = _mo(*told, "--reported", "2020-01-01T00:00:00Z")
    assert (code, stack.asked) == (1, [])
    assert "was reported before the last deployment ended" in text
    code, text = _mo(*told, "--reported", ended)
    assert code == 0, text
    assert [message for message, _ in stack.asked] == ["rollback to update 1: critical-bug, issue #12"]


def test_a_rollback_without_a_reason_is_refused(stack: type[FakeEngine]) -> None:
    code, text = _mo("rollback", "--stack", "staging", "--yes", "--reason", "oops")
    assert code == 2
    assert "needs a reason" in text
    assert stack.asked == []


def test_status_tells_each_service_and_fails_where_one_does_not_answer(stack: type[FakeEngine]) -> None:
    assert _mo("status", "--stack", "staging")[1].startswith("mo: The stack staging was never deployed")
    stack.live = {"api_stg": "ra", "admin_stg": "rbad"}
    code, text = _mo("status", "--stack", "staging", "--json")
    assert code == 1
    assert [(row["service"], row["release"], row["status"]) for row in json.loads(text)["services"]] == [
        ("api_stg", "ra", 200),
        ("admin_stg", "rbad", None),
    ]
    code, text = _mo("status", "--stack", "staging")
    assert "✗ admin_stg: answers 500 instead of 200" in text.splitlines()


@pytest.mark.parametrize(("outside", "wanted"), [("refuse", {"outside": "warn"}), ("warn", None), ("allow", None)])
def test_a_leaked_secret_is_rotated_at_any_hour(
    stack: type[FakeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: str, wanted: dict[str, str] | None
) -> None:
    told = loaded(tmp_path, gates={"required": []}, window={"outside": outside})
    monkeypatch.setattr(settings, "load", lambda _root, _stack: told)
    monkeypatch.setattr(remote, "connect", lambda _root, _stack: "host")
    monkeypatch.setattr(rotation, "status", lambda *_: rotation.Status("r1", True))
    stack.live = {"api_stg": put(tmp_path, artefact("api_stg")).release}
    _mo("rotate", "JWT_SECRET", "--stack", "staging", "--yes")
    ((_, config),) = stack.asked
    assert config.get("mo:window") == wanted
    assert config["mo:releases"] == stack.live


def test_a_preview_that_changes_the_window_of_the_last_rollback_alone_is_nothing() -> None:
    progress = Progress.of(["api_stg"])
    progress(
        {"begun": {"urn": "urn:pulumi:test::mo-deploy::mo:deploy:Platform::platform", "type": "mo:deploy:Platform", "op": "update"}}
    )
    progress({"summary": {"update": 1, "same": 9}})
    assert is_nothing(progress)
    progress({"summary": {"update": 2, "same": 8}})
    assert not is_nothing(progress)


def test_the_history_tells_who_rotated(stack: type[FakeEngine]) -> None:
    assert rotate._update(stack("staging"), project.stack_file("staging"), {}, {}, "rotate api_stg") == []  # type: ignore[arg-type]
    [(message, _)] = stack.asked
    assert message == f"rotate api_stg (by {owner.here().name})"
    stack.updates = [summary_of(1, {"api_stg": "ra"}, message=message)]
    assert _mo("history", "--stack", "staging", "-n", "1")[1].rstrip().endswith(message)


def test_history_is_newest_first(stack: type[FakeEngine]) -> None:
    stack.updates = [summary_of(1, {"api_stg": "ra"}), summary_of(2, {"api_stg": "rb"}, "failed")]
    assert [row["number"] for row in json.loads(_mo("history", "--stack", "staging", "--json")[1])] == [2, 1]
    lines = _mo("history", "--stack", "staging", "-n", "1")[1].splitlines()
    assert lines[1].split() == ["2", "2026-11-21T09:02:00Z", "update", "failed", "api_stg", "rb", "m"]
    assert len(lines) == 2


def test_history_names_the_update_that_a_rollback_of_an_interrupted_run_went_to(stack: type[FakeEngine]) -> None:
    stack.updates = [
        summary_of(1, {"api_stg": "ra"}),
        summary_of(2, {"api_stg": "rb"}, "failed"),
        summary_of(3, {"api_stg": "ra"}, back=1),
    ]
    line = _mo("history", "--stack", "staging", "-n", "1")[1].splitlines()[1]
    assert " ".join(line.split()) == "3 2026-11-21T09:03:00Z update succeeded those of update 1 m"


def _host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: Facts | FactsError) -> None:
    def ask(_self: RunFacts, _request: Mapping[str, Any]) -> Facts:
        if isinstance(facts, FactsError):
            raise facts
        return facts

    monkeypatch.setattr(RunFacts, "__call__", ask)
    quiet = {"gates": {"required": []}, "validation": {"parts": []}, "window": {"outside": "allow"}}
    monkeypatch.setattr(settings, "load", lambda _root, _stack: loaded(tmp_path, **quiet))


def _checks(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, int], wrong: list[dict[str, str]]
) -> list[tuple[str, dict[str, Any]]]:
    """A host that answers drift's checks; ``changed``: service → number of changed files. Gives the steps that change something."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def answer(_root: Path, _stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "files":
            told = {n: ["index.html"] * changed.get(n, 0) for n in ("api_stg", "admin_stg")}
            return {"services": {n: {"manifest": "here", "changed": names, "count": len(names)} for n, names in told.items()}}
        if step == "integrity":
            return {"tool": None, "services": {}}
        if step == "permissions" and not request["fix"]:
            return {"wrong": wrong}
        if step == "health":
            return {"services": {question["service"]: {"status": 200, "ms": 4} for question in request["services"]}}
        if step != "lock":
            asked.append((step, dict(request)))
        if step == "mend":
            changed.clear()
        return {"done": True, "count": 1, "exit": 0}

    monkeypatch.setattr(remote, "run", answer)
    return asked


def test_status_tells_once_of_another_release_on_the_host_and_does_not_wait_for_the_states(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack.live = {"api_stg": "ra", "admin_stg": "rb"}
    known = {"api_stg": {"live": "rx", "database": True}, "admin_stg": {"live": "rb", "releases": ["rb"], "database": True}}
    _host(monkeypatch, tmp_path, Facts.model_validate({"services": known}))
    asked: list[str | None] = []
    answer = remote.run

    def noted(root: Path, stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "health":
            asked.extend(question["release"] for question in request["services"])
        return answer(root, stack, step, request, timeout)

    monkeypatch.setattr(remote, "run", noted)
    code, text = _mo("status", "--stack", "staging")
    assert (code, asked) == (1, [None, "rb"])
    assert [line for line in text.splitlines() if line.startswith("✗")] == ["✗ api_stg: rx is live, where the last update left ra"]


def test_drift_is_found_and_has_its_own_exit_code(stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack.live = {"api_stg": "ra", "admin_stg": "rb"}
    good = {"api_stg": {"live": "ra", "database": True}, "admin_stg": {"live": "rb", "releases": ["rb"], "database": True}}
    _host(monkeypatch, tmp_path, Facts.model_validate({"services": good}))
    _checks(monkeypatch, {}, [])
    assert _mo("drift", "--stack", "staging") == (0, "The host is what the last update left.\n")
    _checks(monkeypatch, {"admin_stg": 5}, [{"service": "api_stg", "mode": "644", "path": "x/\x1b[2J.html"}])
    code, text = _mo("drift", "--stack", "staging")
    assert code == 7
    assert "✗ api_stg: 1 with other permissions than they must have: x/ [2J.html (644)" in text
    assert (
        "✗ admin_stg: 5 files differ from the release: index.html (changed), index.html (changed), index.html (changed), …" in text
    )
    _checks(monkeypatch, {}, [])
    bad = {"api_stg": {"live": "rx", "database": False}, "admin_stg": {"live": "rb", "releases": ["ra"]}}
    _host(monkeypatch, tmp_path, Facts.model_validate({"services": bad}))
    code, text = _mo("drift", "--stack", "staging", "--json")
    assert code == 7
    assert [(one["service"], one["kind"]) for one in json.loads(text)] == [
        ("api_stg", "release"),
        ("api_stg", "database"),
        ("admin_stg", "files"),
    ]
    _host(monkeypatch, tmp_path, FactsError("The host web1 cannot be reached."))
    assert _mo("drift", "--stack", "staging") == (1, "mo: The host web1 cannot be reached.")


def test_mending_asks_first_and_puts_files_back(stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stack.live = {"api_stg": "ra", "admin_stg": "rb"}
    good = {"api_stg": {"live": "ra", "database": True}, "admin_stg": {"live": "rb", "releases": ["rb"], "database": True}}
    _host(monkeypatch, tmp_path, Facts.model_validate({"services": good}))
    asked = _checks(monkeypatch, {"admin_stg": 1}, [])
    assert _mo("drift", "--stack", "staging", "--mend", answer="n\n")[0] == 3
    assert asked == []
    code, text = _mo("drift", "--stack", "staging", "--mend", "--yes")
    assert (code, text.splitlines()[-1]) == (0, "The host is what the last update left.")
    ((step, request),) = asked
    assert (step, request["service"], request["release"]) == ("mend", "admin_stg", "rb")


@pytest.mark.parametrize("what", ["deployed", "mended"])
def test_mending_takes_back_nothing_that_another_did_since_it_was_shown(
    what: str, stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack.live = {"api_stg": "ra", "admin_stg": "rb"}
    good = {"api_stg": {"live": "ra", "database": True}, "admin_stg": {"live": "rb", "releases": ["rb"], "database": True}}
    _host(monkeypatch, tmp_path, Facts.model_validate({"services": good}))
    changed = {"admin_stg": 1}
    asked = _checks(monkeypatch, changed, [])

    def meanwhile(*_: object, **__: object) -> bool:
        if what == "deployed":
            stack.live = {"api_stg": "ra", "admin_stg": "rc"}
        else:
            changed.clear()
        return True

    monkeypatch.setattr("operations.question.confirmed", meanwhile)
    code, text = _mo("drift", "--stack", "staging", "--mend")
    assert (code, asked) == (1, [])
    assert "nothing was changed. Look again" in text


def test_the_doctor_names_what_is_missing_and_goes_on(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _host(monkeypatch, tmp_path, Facts())
    told = {
        "facts": {
            "free_bytes": 1000,
            "programs": {},
            "services": {
                "api_stg": {"lacks": ["python3"], "maintenance": True, "opened_by": "switch"},
                "admin_stg": {"maintenance": True},
            },
        },
        "permissions": {"wrong": [{"path": "x/index.html", "mode": "644"}], "count": 1, "skew": 90},
    }
    venv = {"digest": "0123", "known": True, "differs": ["changed lib/a.py\x1b"], "count": 1}
    told["integrity"] = {
        "tool": {"folder": "/root/.deploy/.tool/ab", "differs": ["switch"]},
        "services": {"api_stg": {"secrets": "changed", "venv": venv}, "admin_stg": {"secrets": "same", "venv": None}},
    }
    told["permissions"]["own"] = [{"service": "api_stg", "what": "open", "count": 2, "paths": ["x/uploads/\x1ba", "x/uploads/b"]}]
    monkeypatch.setattr(remote, "run", lambda _root, _stack, step, _request, timeout=0: told[step])
    monkeypatch.setattr("operations.doctor.databases.look", lambda *_: [])
    refusing = httpx.MockTransport(lambda _request: httpx.Response(401))
    monkeypatch.setattr("httpx.Client", functools.partial(httpx.Client, transport=refusing))
    code, text = _mo("doctor", "--stack", "staging")
    assert code == 1
    assert "✗ space: 1000 B free, at least 500.0 MB are needed" in text
    assert "✗ program: the host lacks python3, which api_stg needs" in text
    assert "✗ api_stg: answers 503: a maintenance window was left open" in text
    assert "✗ admin_stg: answers 503: a person has closed it; bin/mo maintenance off admin_stg" in text
    assert "✗ permissions: on the host: x/index.html must be 644; bin/mo doctor --fix" in text
    assert (
        "· permissions: of the site's own files (persistent), 2 of api_stg can be written by others: x/uploads/ a, x/uploads/b;"
        in text
    )
    assert "✗ integrity: host: 1 host programs in /root/.deploy/.tool/ab differ from this checkout's: switch;" in text
    assert "✗ integrity: api_stg: its secrets.env is not what the last update wrote;" in text
    assert "✗ integrity: api_stg: 1 files of its virtual environment differ: changed lib/a.py ;" in text
    assert "admin_stg: its secrets.env" not in text
    assert _mo("doctor", "--stack", "staging", "--persistent")[0] == 2
    assert "✗ host's clock: 90 s ahead" in text
    assert "✗ GitHub: acme/site: the token is refused" in text
    assert "canary" not in text
    code, text = _mo("doctor", "--stack", "staging", "--offline", "--json")
    assert not {"login", "GitHub", "permissions on the host"} & {finding["what"] for finding in json.loads(text)}


def test_a_host_that_nobody_can_log_in_to_is_one_finding_of_several(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _host(monkeypatch, tmp_path, Facts())

    def refuse(*_: object, **__: object) -> dict[str, Any]:
        raise Problem("The host web1 refused the login.")

    monkeypatch.setattr(remote, "run", refuse)
    monkeypatch.setattr("operations.doctor.databases.look", lambda *_: [])
    monkeypatch.setattr("operations.doctor.github.look", lambda *_: [])
    code, text = _mo("doctor", "--stack", "staging")
    assert code == 1
    assert text.count("The host web1 refused the login.") == 1


def test_there_is_no_report_before_the_first_deployment(stack: type[FakeEngine], tmp_path: Path) -> None:
    put(tmp_path, artefact("api_stg"))
    code, text = _mo("report")
    assert code == 1
    assert "There is no report" in text
    _mo("deploy", "--stack", "staging", "--yes")
    code, text = _mo("report")
    assert (code, text.startswith("# Deployment of staging")) == (0, True)
    assert json.loads(_mo("report", "--json")[1])["stack"] == "staging"


def test_an_unknown_stack_or_service_is_one_sentence(stack: type[FakeEngine]) -> None:
    assert _mo("deploy", "--stack", "prod")[1].startswith("mo: There is no stack prod")
    assert _mo("deploy", "--stack", "staging", "--only", "shop")[1].startswith("mo: No service of this stack: shop.")


def test_databases_go_back_with_a_rollback_only_where_asked(stack: type[FakeEngine]) -> None:
    stack.updates = [summary_of(1, {"api_stg": "ra"}), summary_of(2, {"api_stg": "rb"})]
    stack.live = {"api_stg": "rb"}
    code, _ = _mo("rollback", "--stack", "staging", "--yes", "--reason", "the login is broken")
    assert (code, stack.snapshot_requests) == (0, [])
    stack.live = {"api_stg": "rb"}
    code, text = _mo("rollback", "--stack", "staging", "--yes", "--reason", "the login is broken", "--restore-databases", "all")
    assert code == 0, text
    # Whether its site can be closed is asked first. Pinned: the switch before the restore makes a new one, and the oldest would go for it.
    assert stack.snapshot_requests == [
        ("api_stg", "list", None),
        ("api_stg", "window", None),
        *(("api_stg", action, "2026-old") for action in ("verify", "pin", "restore", "unpin")),
    ]
    assert "✓ restore api_stg: database of 2026-old; what it was before is in 2027-fresh" in text
    code, text = _mo(
        "rollback", "--stack", "staging", "--yes", "--reason", "the login is broken", "--restore-databases", "admin_stg"
    )
    assert code == 2
    assert text.startswith("mo: admin_stg: this rollback moves no release of it, and so not its database.")
    code, text = _mo("rollback", "--stack", "staging", "--yes", "--reason", "the login is broken", "--restore-databases", "nope")
    assert (code, text) == (2, "mo: nope: no service with a database.")


def test_a_site_that_cannot_be_closed_stops_a_rollback_of_its_database_before_anything_is_changed(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.updates = [summary_of(1, {"api_stg": "ra"}), summary_of(2, {"api_stg": "rb"})]
    stack.live = {"api_stg": "rb"}
    answer, asked = remote.run, []

    def refuse(root: Path, stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "snapshot" and request["action"] in ("window", "restore"):
            asked.append((request["action"], request["probe"]["domain"], request.get("site_open")))
            if not request.get("site_open"):
                raise Problem("api_stg: answers 200 instead of 503; nothing was changed.")
        return answer(root, stack, step, request, timeout)

    monkeypatch.setattr(remote, "run", refuse)
    back = ("rollback", "--stack", "staging", "--yes", "--reason", "the login is broken", "--restore-databases", "all")
    code, text = _mo(*back)
    assert (code, text) == (1, "mo: api_stg: answers 200 instead of 503; nothing was changed.")
    assert stack.live == {"api_stg": "rb"}
    assert stack.asked == []
    assert _mo(*back, "--site-open")[0] == 0
    assert asked == [("window", "api.stg.example.org", None), ("restore", "api.stg.example.org", True)]
    restore = ("snapshots", "restore", "api_stg", "2026-old", "--stack", "staging", "--yes")
    assert _mo(*restore)[0] == 1
    assert _mo(*restore, "--site-open")[0] == 0
    assert asked[-1] == ("restore", "api.stg.example.org", True)


def test_a_database_that_was_to_go_back_alone_is_no_success(stack: type[FakeEngine]) -> None:
    stack.updates = [summary_of(1, {"api_stg": "ra"}), summary_of(2, {"api_stg": "rb"})]
    stack.live = {"api_stg": "ra"}
    code, text = _mo(
        "rollback", "--to", "1", "--stack", "staging", "--yes", "--reason", "the data are wrong", "--restore-databases", "api_stg"
    )
    assert code == 2
    assert "bin/mo snapshots restore api_stg NAME" in text
    assert all(action != "restore" for _, action, _ in stack.snapshot_requests)


def test_a_restore_that_fails_in_a_rollback_says_what_is_back_and_how_it_goes_on(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.updates = [summary_of(1, {"api_stg": "ra"}), summary_of(2, {"api_stg": "rb"})]
    stack.live = {"api_stg": "rb"}
    answer = remote.run

    def refuse(root: Path, stack: str, step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        if step == "snapshot" and request["action"] == "restore":
            raise Problem("api_stg: the dump does not match its checksum.")
        return answer(root, stack, step, request, timeout)

    monkeypatch.setattr(remote, "run", refuse)
    code, text = _mo("rollback", "--stack", "staging", "--yes", "--reason", "the login is broken", "--restore-databases", "all")
    assert code == 1
    assert text.startswith("mo: api_stg: the dump does not match its checksum.\nThe code of api_stg is back, its database is not")
    assert "bin/mo deploy --stack staging --resume" in text
    assert ("api_stg", "pin", "2026-old") in stack.snapshot_requests
    assert ("api_stg", "unpin", "2026-old") not in stack.snapshot_requests


def test_snapshots_are_listed_made_and_restored_after_a_question(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _host(monkeypatch, tmp_path, Facts())
    text = _mo("snapshots", "list", "api_stg", "--stack", "staging")[1]
    assert text.splitlines() == ["2026-new  pinned", "2026-old  1500 B", "2027"]
    assert _mo("snapshots", "create", "api_stg", "--stack", "staging")[1] == "2027-fresh\n"
    code, text = _mo("snapshots", "restore", "api_stg", "2026-old", "--stack", "staging", answer="n\n")
    assert (code, text.splitlines()[-1]) == (3, "Nothing was changed.")
    assert ("api_stg", "restore", "2026-old") not in stack.snapshot_requests
    assert _mo("snapshots", "restore", "api_stg", "2026-old", "--stack", "staging", "--yes")[0] == 0
    assert stack.snapshot_requests[-1] == ("api_stg", "restore", "2026-old")


def test_a_deploy_does_not_take_back_what_another_has_deployed_since_it_was_planned(
    stack: type[FakeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, artefact("api_stg"))
    stack.live = {"api_stg": "ra", "admin_stg": "ra"}

    def meanwhile(*_: object, **__: object) -> bool:
        stack.live = {"api_stg": "ra", "admin_stg": "rb"}
        return True

    stack.events = [{"summary": {"update": 1}}]
    monkeypatch.setattr("operations.question.confirmed", meanwhile)
    code, text = _mo("deploy", "--stack", "staging", "--only", "api_stg")
    assert code == 1
    assert "Another update has changed admin_stg since this one was planned" in text
    assert [message for message, _ in stack.asked] == ["preview"]


def test_logs_show_each_log_and_let_no_visitor_drive_the_terminal(
    stack: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _host(monkeypatch, tmp_path, Facts())
    asked: list[Mapping[str, Any]] = []
    told: dict[str, Any] = {
        "deployments": ["2026-11-21T09:00:00Z api_stg - -> r1 live"],
        "log": "x-migrate.log",
        "lines": ["--", "first"],
        "output": "logs/api_stg.log",
        "output_lines": ["Started \x1b[2J"],
    }
    told["errors"] = ["GET 1 /\x1b[2J", "GET 2 /\x1b[2J"]

    def answer(_root: Path, _stack: str, _step: str, request: Mapping[str, Any], timeout: int = 0) -> dict[str, Any]:
        asked.append(request)
        return told

    monkeypatch.setattr(remote, "run", answer)
    deployments = ["== deployment log", *told["deployments"]]
    text = _mo("logs", "api_stg", "--stack", "staging")[1]
    assert text.splitlines() == [
        *deployments, "== log of a tool x-migrate.log", "--", "first", "== process output logs/api_stg.log", "Started �[2J",
        "== host error log", "GET 2 /�[2J  (2 times)",
    ]  # fmt: skip
    found = json.loads(_mo("logs", "api_stg", "--stack", "staging", "--json")[1])
    assert (found["log"], found["deployment"], found["errors"][0]) == ("x-migrate.log", ["--", "first"], "GET 1 /�[2J")
    assert (found["processLog"], found["process"]) == ("logs/api_stg.log", ["Started �[2J"])
    assert found["deployments"] == told["deployments"]
    assert _mo("logs", "--deployment", "--stack", "staging", "-n", "7")[1].splitlines() == deployments
    assert asked[-1] == {"lines": 7}
    found = json.loads(_mo("logs", "api_stg", "--deployment", "--stack", "staging", "--json")[1])
    assert found == {"service": "api_stg", "deployments": told["deployments"]}
    assert _mo("logs", "--stack", "staging")[0] == 2
    assert _mo("logs", "api_stg", "--stack", "staging", "--json", "--follow")[0] == 2
    told |= {"deployments": [], "log": None, "lines": [], "output": None, "output_lines": [], "errors": []}
    nothing = [f"== {title}: nothing" for title in ("deployment log", "log of a tool", "process output", "host error log")]
    assert _mo("logs", "api_stg", "--stack", "staging")[1].splitlines() == nothing


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ([], ["a"], ["a"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "a"], ["a", "a", "a"], ["a"]),
        (["a", "b"], ["b", "c"], ["c"]),
        (["a"], ["x", "y"], ["x", "y"]),
        (["a"], [], []),
    ],
)
def test_following_a_log_shows_each_line_once(before: list[str], now: list[str], new: list[str]) -> None:
    assert logs.added(before, now) == new
