"""Running the gates' tools: reports come with notes, a tool that fails leaves none, and ``bin/mo gates`` explains."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
import yaml
from typer.testing import CliRunner

from catalog.settings import GateSettings, StackSettings
from evidence import expected
from evidence.formats import resolve
from evidence.gates import GATES, GateFileError, load
from evidence.own import Commit
from evidence.privacy_policy import PolicyError, age
from operations.commands.gates import gates
from operations.gates import node, own_checks, python_tests, scanners, services, steps
from operations.gates.context import Context, StepError
from operations.gates.context import context as context_of
from operations.problem import Problem
from tests.unit.evidence.folder import COMMIT, evidence_of, expect, put, the_report, verdicts_of

BASE_SETTINGS: dict[str, Any] = {
    "domain": "example.at",
    "host": {"name": "h", "address": "127.0.0.1", "user": "u", "root": "/r", "hostKeys": ["ssh-ed25519 AAAA"]},
    "servers": {},
    "github": {"owner": "o", "repository": "r", "environment": "production"},
    "gates": {"required": ["eslint"]},
}


def a_context(folder: Path, **settings: Any) -> Context:
    source = folder / "monorepo"
    source.mkdir(exist_ok=True)
    return Context(
        stack="sandbox",
        project=folder,
        source=source,
        reports=folder / "r",
        commit=Commit(COMMIT),
        gates=GateSettings(required=("eslint",)),
        settings=StackSettings.model_validate({**BASE_SETTINGS, **settings}),
        secrets={"githubToken": "t0ken"},
    )


def test_every_gate_has_a_step_that_makes_its_report() -> None:
    assert {gate for step in steps.STEPS for gate in step.gates} == set(GATES)


def test_a_kept_report_is_evidence_at_once(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    context.keep(the_report("eslint", "pass"), "eslint.json", "ESLint", "10.15.0")
    expect(tmp_path / "r", "eslint.json")
    (found,) = evidence_of(tmp_path / "r", "eslint", now=__import__("datetime").datetime.now(__import__("datetime").UTC))
    assert (found.problem, found.provenance.version, found.provenance.commit) == (None, "10.15.0", COMMIT)


def test_a_kept_reports_note_counts_what_the_report_holds(tmp_path: Path) -> None:
    """Nobody else could tell that the last file of an ESLint report is missing."""
    context = a_context(tmp_path)
    whole = [{"filePath": f"/src/{name}.js", "messages": [], "errorCount": 0} for name in "abc"]
    (tmp_path / "made.json").write_text(json.dumps(whole))
    context.keep(tmp_path / "made.json", "eslint.json", "ESLint", "10.15.0")
    note = json.loads((tmp_path / "r/eslint.json.provenance.json").read_bytes())
    assert note["count"] == 3
    cut = json.dumps(whole[:2]).encode()
    put(tmp_path / "r", "eslint.json", cut, **{key: note[key] for key in ("tool", "exitCode", "count")})
    (found,) = evidence_of(tmp_path / "r", "eslint")
    assert (found.problem, found.detail) == ("incomplete", "holds 2 files, and its tool counted 3: a part of it is missing")
    (tmp_path / "made.json").write_text("no report")
    context.keep(tmp_path / "made.json", "eslint.json", "ESLint", "10.15.0")
    assert "count" not in json.loads((tmp_path / "r/eslint.json.provenance.json").read_bytes())


def suites(source: Path) -> None:
    """A monorepo with tests for pytest, vitest and PHP."""
    for name in ("api.menschlichkeit-oesterreich.at/tests/test_a.py", "web/src/a.test.ts", "tests/php/run.php"):
        (source / name).parent.mkdir(parents=True)
        (source / name).touch()


def test_a_gate_is_red_where_one_of_the_monorepos_suites_left_no_report(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    suites(context.source)
    steps.run(context, [], lambda done: None)
    for case, name in (("pytest", "unit-api.xml"), ("cobertura", "coverage-api.xml")):
        put(tmp_path / "r", name, the_report(case, "pass").read_bytes())
    found = verdicts_of(tmp_path / "r", "unit-tests", "coverage")
    assert [verdict.verdict for verdict in found.values()] == ["fail", "fail"]
    assert "there is no report of vitest with coverage" in found["unit-tests"].reason
    assert "unit-web.xml" in found["unit-tests"].reason
    assert "coverage-web.info" in found["coverage"].reason
    for case, name in (("vitest", "unit-web.xml"), ("lcov", "coverage-web.info"), ("phpunit", "unit-php.xml")):
        put(tmp_path / "r", name, the_report(case, "pass").read_bytes())
    assert {verdict.verdict for verdict in verdicts_of(tmp_path / "r", "unit-tests", "coverage").values()} == {"pass"}


def test_a_suite_that_the_monorepo_does_not_have_is_neither_run_nor_missed(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    assert "unit-tests" not in steps.wanted(context)
    (context.source / "tests/php").mkdir(parents=True)
    (context.source / "tests/php/run.php").touch()
    assert steps.wanted(context)["unit-tests"] == {"unit-php.xml": "PHP tests"}
    (pytest_step, *_) = steps.STEPS
    assert steps.run(context, [pytest_step], lambda done: None) == []


def test_phpunit_is_run_and_missed_where_the_monorepo_has_settings_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.gates.scanners.shutil.which", lambda name: None)  # this machine may have one
    context = a_context(tmp_path)
    assert not scanners.has_phpunit(context)
    (context.source / "phpunit.xml.dist").touch()
    assert steps.wanted(context)["unit-tests"] == {"unit-phpunit.xml": "PHPUnit"}
    with pytest.raises(StepError, match="composer install"):
        scanners.phpunit(context)
    program = context.source / "vendor/bin/phpunit"
    program.parent.mkdir(parents=True)
    report = the_report("phpunit", "fail")
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "PHPUnit 11.5.3 by x" && exit\ncp {report} "$4"; exit 1\n')
    program.chmod(0o755)
    scanners.phpunit(context)
    note = json.loads((tmp_path / "r/unit-phpunit.xml.provenance.json").read_text())
    assert (note["tool"], note["toolVersion"], note["exitCode"]) == ("PHPUnit", "11.5.3", 1)


def test_one_of_a_scanners_two_reports_is_not_enough(tmp_path: Path) -> None:
    steps.run(a_context(tmp_path), [], lambda done: None)
    put(tmp_path / "r", the_report("trivy-sarif", "pass"))
    found = verdicts_of(tmp_path / "r", "trivy")["trivy"]
    assert found.verdict == "fail"
    assert "write trivy.json" in found.reason


def test_reports_of_which_nobody_says_what_belongs_to_them_pass_no_gate(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("eslint", "pass"))
    (tmp_path / "r/expected.json").unlink()
    assert "expected.json is not there" in verdicts_of(tmp_path / "r", "eslint")["eslint"].reason
    expected.write(tmp_path / "r", "f" * 40, {"eslint": {"eslint.json": "ESLint"}})
    assert "for commit ffffffffffff" in verdicts_of(tmp_path / "r", "eslint")["eslint"].reason
    (tmp_path / "r/expected.json").write_text("{")
    assert verdicts_of(tmp_path / "r", "eslint")["eslint"].verdict == "fail"
    expected.write(tmp_path / "r", COMMIT, {})
    assert "lists no report for this gate" in verdicts_of(tmp_path / "r", "eslint")["eslint"].reason


def test_the_command_ends_with_1_where_a_tool_did_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(context: Context) -> None:
        raise StepError("it is not there")

    here = a_context(tmp_path)
    put(tmp_path / "r", the_report("eslint", "pass"), time=datetime.now(UTC).isoformat())
    monkeypatch.setattr("operations.gates.context.context", lambda *_, **__: here)
    for step, code in ((steps.Step("x", {"eslint": ()}, lambda _: None), 0), (steps.Step("x", {"eslint": ()}, fails), 1)):
        monkeypatch.setattr(steps, "of_gates", lambda _, step=step: (step,))
        assert mo("--run")[0] == code


def test_a_tool_that_fails_leaves_no_report_of_an_earlier_run(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    put(tmp_path / "r", the_report("phpstan", "pass"))

    def fails(context: Context) -> None:
        context.run(["false"], tmp_path)

    (done,) = steps.run(context, [steps.Step("x", {"phpstan": ("phpstan.json",)}, fails)], lambda done: None)
    assert "failed (exit 1)" in done.error
    assert not (tmp_path / "r" / "phpstan.json").exists()
    assert not (tmp_path / "r" / "phpstan.json.provenance.json").exists()


def test_a_tool_that_is_not_here_is_named_and_counted_and_leaves_cis_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = a_context(tmp_path)
    monkeypatch.setattr("operations.gates.context.context", lambda *_, **__: here)
    monkeypatch.setenv("PATH", "/nowhere")
    code, text = mo("--run", "--only", "phpstan", "--only", "phpstan-level")
    assert code == 1
    assert "1 of 1 step cannot run here, so the reports of 2 of 2 gates cannot be made:" in text
    assert "PHPStan (phpstan, phpstan-level): PHPStan is not installed" in text
    put(tmp_path / "r", the_report("phpstan", "pass"), time=datetime.now(UTC).isoformat())
    code, text = mo("--run", "--only", "phpstan", "--only", "phpstan-level")
    assert (code, (tmp_path / "r/phpstan.json").is_file()) == (0, True)
    assert "cannot run here" in text


def test_a_trivy_without_a_database_is_named_and_counted_and_leaves_cis_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the real one says is seen in tests/integration/gates."""
    here = a_context(tmp_path)
    here = replace(here, gates=here.gates.model_copy(update={"max_age_hours": 1_000_000}))
    monkeypatch.setattr("operations.gates.context.context", lambda *_, **__: here)
    program = tmp_path / "bin/trivy"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def says(words: str) -> None:
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Version: 0.74.0" && exit\necho "{words}" >&2; exit 1\n')
        program.chmod(0o755)

    says("FATAL Fatal error run error: init error: DB error: failed to download vulnerability DB: no route to host")
    code, text = mo("--run", "--only", "trivy")
    assert code == 1
    assert "1 of 1 step cannot run here, so the reports of 1 of 1 gate cannot be made:" in text
    assert "Trivy (trivy): Trivy has no vulnerability database" in text
    for case, name in (("trivy", "trivy.json"), ("trivy-sarif", "trivy.sarif")):
        put(tmp_path / "r", name, the_report(case, "pass").read_bytes(), time=datetime.now(UTC).isoformat())
    assert mo("--run", "--only", "trivy")[0] == 0, "CI's reports, judged by their own notes"
    assert (tmp_path / "r/trivy.json").is_file()
    says("FATAL Fatal error run error: fs scan error: no such file")
    code, text = mo("--run", "--only", "trivy")
    assert (code, "cannot run here" in text) == (1, False)
    assert not (tmp_path / "r/trivy.json").exists(), "a Trivy that failed has no report, whoever made it"


@pytest.mark.parametrize(("code", "is_here"), [(255, False), (23, True)])
def test_logs_of_a_host_that_cannot_be_reached_are_no_failed_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_here: bool
) -> None:
    context = a_context(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/rsync").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "bin/rsync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    step = next(step for step in steps.STEPS if step.run is own_checks.personal_data_in_logs)
    name = own_checks.PERSONAL_DATA.format(stack=context.stack)
    put(tmp_path / "r", name, b"{}")
    (done,) = steps.run(context, [step], lambda done: None)
    assert done.is_here is is_here, done.error
    assert (tmp_path / "r" / name).exists() is not is_here


@pytest.mark.parametrize(
    ("last", "number"),
    [
        ("5 passed in 0.03s", 5),
        ("3 passed, 1 skipped, 1 xfailed, 3 subtests passed in 0.1s", 5),
        ("1 failed, 3 passed in 0.1s", None),
        ("10 passed, 1 skipped, 1 rerun in 0.24s", 11),
        ("1 passed, 1 error in 0.1s", None),
        ("no tests ran in 0.01s", None),
        ("", None),
    ],
)
def test_pytests_last_line_counts_its_tests(last: str, number: int | None) -> None:
    assert python_tests._counted(f"..F\n{last}\n\n") == number


def test_a_pytest_report_that_lacks_tests_that_its_run_counted_is_incomplete(tmp_path: Path) -> None:
    report = (Path(__file__).parent / "cases/pytest-subtests.xml").read_bytes()
    put(tmp_path / "r", "unit-api.xml", report, count=1)
    assert evidence_of(tmp_path / "r", "unit-tests")[0].problem is None
    put(tmp_path / "r", "unit-api.xml", report, count=4)
    assert evidence_of(tmp_path / "r", "unit-tests")[0].problem == "incomplete"


NEW_GATE = """
group = "security"
at_most = 0
says = "{} finding{s} of Semgrep"
remedy = "Fix the lines that Semgrep names"
measure = "errors"
counted = "files"
files = ["semgrep*.sarif"]
made_by = "Semgrep"
make = "semgrep scan --sarif"

[formats]
".sarif" = "sarif:Semgrep OSS"

[run]
command = ["semgrep", "scan", "--sarif", "--output", "{out}/semgrep.sarif", "."]
report = "semgrep.sarif"
tool = "Semgrep OSS"
version = ["semgrep", "--version"]
count = true
"""


def test_a_new_gate_is_one_file_and_one_line_of_configuration(tmp_path: Path) -> None:
    """In a copy of the packages, as a contributor's checkout would be: run, judged, and red where the tool finds something."""
    root = Path(__file__).resolve().parents[3]
    shutil.copytree(root / "policy", tmp_path / "policy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "evidence", tmp_path / "evidence", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("catalog", "operations", "components"):
        (tmp_path / name).symlink_to(root / name)
    (tmp_path / "policy/gates/semgrep.toml").write_text(NEW_GATE)
    sarif = {
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Semgrep OSS", "semanticVersion": "1.90.0", "rules": [{"id": "r"}]}},
                "results": [{"ruleId": "r", "level": "error", "message": {"text": "x"}}],
            }
        ],
    }
    (tmp_path / "found.sarif").write_text(json.dumps(sarif))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/semgrep").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo 1.90.0 && exit\ncp {tmp_path}/found.sarif "$4"\n'
    )
    (tmp_path / "bin/semgrep").chmod(0o755)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a.py").touch()
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, "policy")
from catalog.settings import GateSettings
from evidence.collect import collect
from evidence.judge import judge
from evidence.model import About
from evidence.own import Commit
from operations.gates import steps
from operations.gates.context import Context
from rules.gates import RULES
from rules.thresholds import THRESHOLDS

settings = GateSettings(required=("semgrep",))
here = Path.cwd()
context = Context("production", here, here / "source", here / "r", Commit("a" * 40), settings)
(done,) = steps.run(context, steps.of_gates(["semgrep"]), lambda done: None)
(verdict,) = judge(collect(settings, here, "a" * 40, About(), reports=here / "r"), commit="a" * 40)
print(done.error, verdict.verdict, verdict.reason)
print(THRESHOLDS["semgrep"].sentence(1, 0), any("semgrep" in rule.schema for rule in RULES))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "fail semgrep: 1 finding of Semgrep, required: at most 0 (see r/semgrep.sarif)" in done.stdout
    assert "1 finding of Semgrep, required: at most 0 True" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("at_most = 0", "at_mos = 0"), "there is no key 'at_mos'"),
        (("at_most = 0", ""), "the key 'at_least' is missing"),
        (('files = ["semgrep*.sarif"]', "files = 7"), "semgrep.toml"),
        (("[formats]", "[formats"), "semgrep.toml"),
        (('says = "{} finding{s} of Semgrep"', 'says = "{nothing}"'), "semgrep.toml"),
    ],
)
def test_a_gates_file_that_is_broken_is_one_sentence(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "semgrep.toml").write_text(NEW_GATE.replace(*change))
    with pytest.raises(GateFileError, match=re.escape(words)):
        load(tmp_path)


@pytest.mark.parametrize("reference", ["nothing", "junit.nothing", "../junit", "os.system", ""])
def test_a_reader_that_is_not_there_is_one_sentence(reference: str) -> None:
    with pytest.raises(GateFileError, match="names no reader"):
        resolve(reference)


def test_the_tools_are_installed_once_for_all_clones_and_never_by_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MO_CACHE", str(tmp_path / "cache"))
    log, npm = tmp_path / "calls", tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\necho "$@" >> {log}\nmkdir node_modules\n[ ! -e {tmp_path}/broken ]\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    (tmp_path / "broken").touch()
    with pytest.raises(StepError, match="npm failed"):
        node.installed(a_context(tmp_path))
    (tmp_path / "broken").unlink()
    clones = [tmp_path / "one", tmp_path / "two"]
    folders = set()
    for clone in clones:
        clone.mkdir()
        folders.add(node.installed(a_context(clone)))
    (folder,) = folders
    assert {path.name for path in folder.iterdir()} == {*node._FILES, "node_modules"}
    assert log.read_text().count("ci ") == 2, "once in vain, once for both"


def test_a_tool_that_is_not_there_or_hangs_is_one_sentence(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    with pytest.raises(StepError, match="is not installed"):
        context.run(["no-such-program"], tmp_path)
    with pytest.raises(StepError, match="more than 1 seconds"):
        context.run(["sleep", "30"], tmp_path, timeout=1)


def test_phpstan_says_its_level_and_what_it_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = a_context(tmp_path)
    (context.source / "a.php").write_text("<?php")
    program = tmp_path / "bin" / "phpstan"
    program.parent.mkdir()
    answer = the_report("phpstan", "pass").read_text().replace("\n", " ")
    program.write_text(
        f"""#!/bin/sh\ncase $1 in --version) echo 'PHPStan - PHP Static Analysis Tool 2.1.3';; *) echo '{answer}';; esac\n"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    scanners.phpstan(context)
    note = json.loads((tmp_path / "r" / "phpstan.json.provenance.json").read_text())
    assert (note["measures"]["level"], note["count"], note["toolVersion"]) == (6, 1, "2.1.3")


class GitHub(BaseHTTPRequestHandler):
    """Two pages of alerts; other paths misbehave."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        GitHub.asked.append(self.path)
        alerts = json.loads(the_report("dependabot", "pass").read_bytes())
        here = f"http://{self.headers['Host']}"
        link = ""
        status = 200
        body: Any = alerts
        if "/leads-away/" in self.path:
            link = "http://127.0.0.2:1/evil"
        elif "/disabled/" in self.path:
            status, body = 403, {"message": "Dependabot alerts are disabled"}
        elif "/object/" in self.path:
            body = {"message": "hello"}
        elif "page=2" not in self.path:
            link = f"{here}/repos/o/r/dependabot/alerts?page=2"
        text = json.dumps(body).encode()
        self.send_response(status)
        if link:
            self.send_header("Link", f'<{link}>; rel="next"')
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def github() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def _github(folder: Path, base: str, repository: str = "r") -> Context:
    """``mo:github`` names another repository than that of the sources."""
    gates = {"required": ["eslint"], "repository": f"o/{repository}"}
    return a_context(folder, github={**BASE_SETTINGS["github"], "baseUrl": base}, gates=gates)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("git@github.com:o/monorepo.git", "o/monorepo"),
        ("https://github.com/o/monorepo", "o/monorepo"),
        ("/srv/git", "an unknown repository"),
    ],
)
def test_alerts_of_another_repository_than_that_of_the_sources_are_not_judged(
    tmp_path: Path, github: str, url: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODACY_API_TOKEN", "x")
    context = replace(_github(tmp_path, github), settings=StackSettings.model_validate(BASE_SETTINGS))
    subprocess.run(["git", "init", "-q"], cwd=context.source, check=True)
    subprocess.run(["git", "remote", "add", "origin", url], cwd=context.source, check=True)
    for asks in (services.dependabot, services.code_scanning, services.codacy):
        with pytest.raises(StepError, match=named) as caught:
            asks(context)
        assert "is not a clone of o/r (mo:github)" in str(caught.value)
        assert "mo:gates.repository" in str(caught.value)


def test_where_the_sources_are_in_the_repository_of_mo_github_its_alerts_count(tmp_path: Path, github: str) -> None:
    GitHub.asked.clear()
    context = _github(tmp_path, github)
    settings = context.settings and context.settings.model_copy(update={"gates": GateSettings(required=())})
    subprocess.run(["git", "init", "-q"], cwd=context.source, check=True)
    subprocess.run(["git", "remote", "add", "origin", "ssh://git@github.com/O/r.git"], cwd=context.source, check=True)
    services.dependabot(replace(context, settings=settings))
    assert GitHub.asked[0] == "/repos/o/r/dependabot/alerts?state=open&per_page=100"


def test_all_pages_of_alerts_are_fetched_and_the_note_says_so(tmp_path: Path, github: str) -> None:
    services.dependabot(_github(tmp_path, github))
    assert len(json.loads((tmp_path / "r" / "dependabot.json").read_text())) == 4
    assert json.loads((tmp_path / "r" / "dependabot.json.provenance.json").read_text())["count"] == 2
    assert "t0ken" not in "".join(path.read_text() for path in (tmp_path / "r").iterdir())


@pytest.mark.parametrize(
    ("repository", "words"), [("leads-away", "lead elsewhere"), ("disabled", "403"), ("object", "something other than a list")]
)
def test_an_answer_that_is_no_whole_list_leaves_no_report(tmp_path: Path, github: str, repository: str, words: str) -> None:
    with pytest.raises(StepError, match=words):
        services.dependabot(_github(tmp_path, github, repository))
    assert not (tmp_path / "r").exists() or not list((tmp_path / "r").iterdir())


@pytest.mark.parametrize(
    ("html", "days"),
    [
        ('<p>Stand: <time datetime="2026-10-01" data-policy="privacy">1. Oktober 2026</time></p>', 53),
        ("<p>Stand: 1. Oktober 2026</p>", 53),
        ("<p>Letzte Aktualisierung: 01.10.2026</p>", 53),
        ("<p>Zuletzt geändert am: 2026-10-01</p>", 53),
        ("<p>Last updated: 1 October 2026</p>", 53),
        ("<p>Stand: 1. Jänner 2026</p>", 326),
        ('<meta name="dcterms.modified" content="2026-10-01">', 53),
        ("<p>Stand: 1. Oktober 2026</p><p>Stand: 1. Oktober 2025</p>", 418),
    ],
)
def test_the_policys_age_is_read_from_the_page(html: str, days: int) -> None:
    assert age(html, date(2026, 11, 23)) == days


@pytest.mark.parametrize(
    "html",
    ["", "<p>Datenschutz</p>", '<time datetime="soon" data-policy="privacy">', "<p>Stand: 1. Oktober 2027</p>",
     "<p>Stand: 32. Oktober 2026</p>", "<script>Stand: 1. Oktober 2026</script>"],
)  # fmt: skip
def test_a_policy_without_a_date_or_of_the_future_is_not_current(html: str) -> None:
    with pytest.raises(PolicyError):
        age(html, date(2026, 11, 23))


def _with_secrets(folder: Path, told: str) -> None:
    """A project whose stack has both secrets encrypted; ``bin/pulumi`` is a stand-in that runs ``told``."""
    config = {f"mo:{key}": value for key, value in BASE_SETTINGS.items()}
    config |= {f"mo:{key}": {"secure": "v1:x"} for key in ("githubToken", "sshPrivateKey")}
    (folder / "Pulumi.live.yaml").write_text(yaml.safe_dump({"config": config}))
    (folder / "Pulumi.sandbox.yaml").write_text(yaml.safe_dump({"config": {"mo:gates": {"required": []}}}))
    (folder / "bin").mkdir()
    (folder / "bin/pulumi").write_text(f"#!/bin/sh\n{told}\n")
    (folder / "bin/pulumi").chmod(0o755)


def test_the_tools_get_the_stacks_own_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.dumps({"mo:githubToken": {"value": "t0ken", "secret": True}, "mo:sshPrivateKey": {"value": "KEY", "secret": True}})
    _with_secrets(tmp_path, f"echo '{told}'")
    here = context_of("live", project=tmp_path, commit=COMMIT, decrypt=True)
    assert here.secrets == {"githubToken": "t0ken", "sshPrivateKey": "KEY"}
    assert context_of("live", project=tmp_path, commit=COMMIT).secrets == {}, "judging alone decrypts nothing"
    assert "t0ken" not in repr(here)
    rsync = tmp_path / "bin/rsync"
    rsync.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/called\nkey=$(printf '%s' \"$4\" | sed 's/.* -i //')\n"
        f'cp -p "$key" {tmp_path}/key; printf "%s" "$key" > {tmp_path}/place\n'
    )
    rsync.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    own_checks._fetch_logs(here, own_checks.stack_settings(here), tmp_path)
    assert ((tmp_path / "key").read_text(), (tmp_path / "key").stat().st_mode & 0o777) == ("KEY\n", 0o600)
    assert "KEY" not in (tmp_path / "called").read_text()
    assert not Path((tmp_path / "place").read_text()).exists()


def test_secrets_that_cannot_be_decrypted_are_the_reason_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    _with_secrets(tmp_path, "echo 'error: the passphrase is wrong' >&2; exit 255")
    here = context_of("live", project=tmp_path, commit=COMMIT, decrypt=True)
    for asks in (services.dependabot, own_checks.personal_data_in_logs):
        with pytest.raises(StepError, match="the passphrase is wrong"):
            asks(here)


def mo(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(gates)
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Problem):
        return result.exception.code, str(result.exception)
    return result.exit_code, result.output


def test_the_command_judges_and_gives_one_entry_a_gate(tmp_path: Path) -> None:
    put(tmp_path / "r", the_report("eslint", "fail"), time="2026-01-01T00:00:00Z")
    code, text = mo("--stack", "production", "--reports", str(tmp_path / "r"), "--commit", COMMIT, "--json")
    entries = {entry["name"]: entry for entry in json.loads(text)}
    assert code == 1
    assert set(entries) == set(GATES)
    assert set(entries["eslint"]) == {"name", "group", "verdict", "figure", "threshold", "report", "reason", "remarks"}
    assert (entries["eslint"]["verdict"], entries["eslint"]["figure"], entries["trivy"]["verdict"]) == ("fail", 4, "fail")


def test_the_command_explains_in_words(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    code, text = mo("--stack", "sandbox", "--reports", str(tmp_path / "r"), "--commit", COMMIT)
    assert code == 1
    assert "unit-tests: there is no report" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--commit", "HEAD"), "40 hexadecimal digits"),
        (("--stack", "nowhere"), "no stack nowhere"),
        (("--run", "--commit", COMMIT), "leave --commit out"),
        (("--at", "staging"), "goes with --run"),
        (("--only", "wishes"), "There is no gate wishes"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    code, text = mo(*arguments)
    assert code != 0
    assert words in text
    assert "Traceback" not in text
