"""Gates that look at a running site: only where it proves to serve this build; and what stacks are judged by then."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from catalog import reader
from catalog.settings import EdgeSettings, StackSettings
from evidence.gates import GATES
from operations.gates import browser, own_checks, python_tests, served, steps
from operations.gates.context import Context, StepError
from operations.gates.context import context as context_of
from tests.unit.evidence.folder import CASES, COMMIT, fitted, put, the_report, verdicts_of
from tests.unit.evidence.test_gates_run import BASE_SETTINGS, a_context


class RunningSite(BaseHTTPRequestHandler):
    """Every service of a stack: tells the release ``told``; the consent service's probe answers ``active``."""

    told: ClassVar[str] = ""
    active: ClassVar[Any] = {"active": True}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        RunningSite.asked.append(f"{self.headers['Host']}{self.path}")
        body = RunningSite.active if self.path == "/active.php" else {"release": RunningSite.told}
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None: ...


RELEASE = "r0123456789abcdef"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Context]:
    """The gates of the stack staging, looking at a sandbox that serves this build."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), RunningSite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    RunningSite.told, RunningSite.active, RunningSite.asked = RELEASE, {"active": True}, []
    edge = {"scheme": "http", "port": 80, "connect": f"127.0.0.1:{server.server_address[1]}"}
    site = StackSettings.model_validate({**BASE_SETTINGS, "edge": edge})
    built(tmp_path, *reader.read().of_stack("sandbox"))
    yield replace(a_context(tmp_path), stack="staging", site=site)
    server.shutdown()
    server.server_close()


def built(folder: Path, *keys: str, **said: Any) -> None:
    """``dist/manifest.json`` of a build of these services."""
    (folder / "dist").mkdir(exist_ok=True)
    build = {"version": 1, "commit": COMMIT, "dirty": False, "services": {key: {"release": RELEASE} for key in keys}, **said}
    (folder / "dist/manifest.json").write_text(json.dumps(build))


def test_consent_is_probed_where_this_build_runs(running: Context) -> None:
    own_checks.consent(running)
    told = json.loads((running.reports / "consent.json").read_text())
    assert (told["figure"], told["commit"]) == (1, COMMIT)
    assert RunningSite.asked == ["consent.example.at/release.json", "consent.example.at/active.php"]
    RunningSite.active = {"active": False}
    own_checks.consent(running)
    assert json.loads((running.reports / "consent.json").read_text())["figure"] == 0


PAGES = {"consent": own_checks.consent, "axe": browser.axe, "lighthouse": browser.lighthouse, "e2e": python_tests.end_to_end}


@pytest.mark.parametrize("name", list(PAGES))
def test_no_report_is_made_of_a_site_that_serves_another_release(
    running: Context, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "installed", lambda _: Path(__file__).parent)
    monkeypatch.setattr(
        Path, "read_text", lambda path, *_, _read=Path.read_text, **__: "" if "axe-core" in str(path) else _read(path)
    )
    monkeypatch.setattr(browser, "_chromium", lambda: "/bin/false")
    RunningSite.told = "rfedcba9876543210"
    running.reports.mkdir()
    for ending in ("json", "xml"):
        (running.reports / f"{name}.{ending}").write_text("of an earlier run")
    step = next(step for step in steps.STEPS if step.run is PAGES[name])
    (done,) = steps.run(running, [step], lambda done: None)
    assert re.search(r"reports rfedcba9876543210, but this build of .* is release r0123456789abcdef", done.error)
    assert "bin/mo deploy --stack sandbox" in done.error
    assert done.failed
    left = {path.suffix for path in running.reports.glob(f"{name}.*")}
    assert len(left) == 1, "the report of the other ending, which is none of this step"


@pytest.mark.parametrize("name", list(PAGES))
def test_a_site_that_is_not_running_leaves_cis_report(running: Context, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "installed", lambda _: Path(__file__).parent)
    monkeypatch.setattr(
        Path, "read_text", lambda path, *_, _read=Path.read_text, **__: "" if "axe-core" in str(path) else _read(path)
    )
    monkeypatch.setattr(browser, "_chromium", lambda: "/bin/false")
    step = next(step for step in steps.STEPS if step.run is PAGES[name])
    reports = {file for files in step.reports.values() for file in files}
    for file in reports:
        put(running.reports, file, b"made by CI")
    stopped = running.site and running.site.model_copy(update={"edge": EdgeSettings(scheme="http", connect="127.0.0.1:1")})
    for context in (replace(running, site=None), replace(running, site=stopped)):
        (done,) = steps.run(context, [step], lambda done: None)
        assert (done.is_here, "make sandbox-up" in done.error) == (False, True), done.error
        said = steps.not_here([done], step.gates)
        assert said is not None
        assert said.startswith(f"1 of 1 step cannot run here, so the reports of {len(step.gates)} of {len(step.gates)} gate")
        for file in reports:
            assert (running.reports / file).read_bytes() == b"made by CI"
            assert (running.reports / f"{file}.provenance.json").is_file()


def test_what_the_build_does_not_have_is_not_looked_at(running: Context, tmp_path: Path) -> None:
    def refused(words: str, context: Context = running, service: str = "consent") -> None:
        with pytest.raises(StepError, match=words):
            served.site(context, [service])

    built(tmp_path, "votes")
    refused("dist/ has no artefact of consent of commit 1234567890ab: bin/mo build consent --stack sandbox --source")
    built(tmp_path, "consent", commit="f" * 40)
    refused("a build of commit ffffffffffff, not of 1234567890ab")
    built(tmp_path, "consent", dirty=True)
    refused("was built with changes")
    (tmp_path / "dist/manifest.json").unlink()
    refused("holds no build")
    built(tmp_path, "consent")
    RunningSite.told = ""
    refused("reports , but")
    refused("has no service main; choose a stack that has it: --at sandbox", replace(running, at="staging"), "main")
    refused("make sandbox-up", replace(running, site=None))
    unreachable = running.site and running.site.model_copy(update={"edge": EdgeSettings(scheme="http", connect="127.0.0.1:1")})
    refused(r"cannot be reached \(ConnectError\), so .* make sandbox-up", replace(running, site=unreachable))


def test_the_flows_are_never_run_on_production_and_their_report_is_left(running: Context) -> None:
    running.reports.mkdir()
    (running.reports / "e2e.xml").write_text("made at the sandbox")
    step = next(step for step in steps.STEPS if step.run is python_tests.end_to_end)
    (done,) = steps.run(replace(running, at="production"), [step], lambda done: None)
    assert (done.is_here, "--at sandbox" in done.error) == (False, True)
    assert (running.reports / "e2e.xml").exists()


@pytest.mark.parametrize("stack", ["staging", "production"])
def test_a_stack_is_judged_by_what_was_looked_at_on_the_sandbox(stack: str, tmp_path: Path) -> None:
    here = context_of(stack, reports=tmp_path / "r", commit=COMMIT)
    assert here.at == "sandbox"
    cases = {"integration-tests": "pytest", "phpstan-level": "phpstan", "duplication": "jscpd"}
    for step in steps.STEPS:
        for gate, names in step.reports.items():
            for name in names:
                case = cases.get(gate) or next(
                    case for case, gates in CASES.items() if gate in gates and the_report(case, "pass").suffix == Path(name).suffix
                )
                put(tmp_path / "r", name, fitted(the_report(case, "pass").read_bytes()))
    found = verdicts_of(tmp_path / "r", *here.gates.required)
    assert {name: verdict.reason for name, verdict in found.items() if verdict.verdict != "pass"} == {}
    assert set(found) == set(GATES)
