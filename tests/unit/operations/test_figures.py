"""What the monitoring's figures are made of; what is not known is left out, never guessed."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog import reader
from catalog.manifest import Manifest
from catalog.settings import GateSettings
from components.facts import Facts, ServiceFacts
from monitoring.textfile import DeploymentMetrics
from operations import figures, integrity
from operations.integrity import Difference
from tests.unit.evidence.folder import put

SERVICES = reader.read().services
REPORTS = Path(__file__).parents[1] / "evidence/reports/dependabot"
LINE = {"stack": "sandbox", "kind": "deployment", "started": "2026-11-21T08:00:00Z", "seconds": 90, "succeeded": True, "failed": 0}


def trends(root: Path, *lines: object) -> Path:
    folder = root / "quality-reports"
    folder.mkdir(exist_ok=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "deployments.jsonl").write_text(text)
    return root


def manifest(*migrations: str) -> Manifest:
    return Manifest(service="votes", release="r0123456789abcdef", files=(), migrations=migrations)


def test_the_last_update_of_the_stack_counts(tmp_path: Path) -> None:
    later = {**LINE, "started": "2026-11-21T09:00:00Z", "seconds": 30}
    other = {**LINE, "stack": "staging", "seconds": 1}
    found = figures.last_deployment(trends(tmp_path, LINE, later, other), "sandbox")
    assert found == DeploymentMetrics(duration=30, finished_at=1795251630.0, failures=0, rollbacks=0)


@pytest.mark.parametrize(
    ("changes", "failures", "rollbacks"),
    [
        ({"failed": 2, "succeeded": False}, 2, 0),
        ({"succeeded": False}, 1, 0),
        ({"kind": "rollback"}, 0, 1),
        ({"rollbacks": 1, "succeeded": False}, 1, 1),
    ],
)
def test_failures_and_rollbacks_are_counted(tmp_path: Path, changes: dict[str, object], failures: int, rollbacks: int) -> None:
    found = figures.last_deployment(trends(tmp_path, {**LINE, **changes}), "sandbox")
    assert (found.failures, found.rollbacks) == (failures, rollbacks)


@pytest.mark.parametrize(
    "line", ['{"stack": "sandb', "[]", "null", "{}", '{"stack": "sandbox", "seconds": "x"}', "[" * 5000, "\x00"]
)
def test_a_broken_line_hides_no_other(tmp_path: Path, line: str) -> None:
    assert figures.last_deployment(trends(tmp_path, LINE, line), "sandbox").duration == 90
    assert figures.last_deployment(trends(tmp_path, line), "sandbox") == DeploymentMetrics()


def test_without_a_deployment_nothing_is_said(tmp_path: Path) -> None:
    assert figures.last_deployment(tmp_path, "sandbox") == DeploymentMetrics()


@pytest.mark.parametrize(
    ("service", "wanted", "applied", "pending"),
    [
        ("votes", ("1", "2", "3"), ("1",), 2),
        ("votes", ("1",), ("1", "2"), 0),
        ("votes", ("1", "2"), (), 2),
        ("games", ("a", "b"), ("b", "a"), 0),
        ("api", ("a", "b", "c"), ("b",), 1),
        ("api", ("a", "b"), ("newer",), 0),
        ("api", ("a", "b"), (), 2),
        ("crm", ("5.81.0",), (), None),
        ("main", (), (), None),
    ],
)
def test_pending_migrations_of_each_kind(
    service: str, wanted: tuple[str, ...], applied: tuple[str, ...], pending: int | None
) -> None:
    known = ServiceFacts(live="r0123456789abcdef", applied=applied, reachable=True)
    assert figures.pending_migrations(SERVICES[service], manifest(*wanted), known) == pending


def test_migrations_of_a_database_that_did_not_answer_are_not_guessed() -> None:
    known = ServiceFacts(live="r0123456789abcdef", applied=(), reachable=False)
    assert figures.pending_migrations(SERVICES["votes"], manifest("1"), known) is None


def test_the_host_s_figures_leave_out_what_the_host_could_not_tell() -> None:
    known = Facts(
        services={"votes": ServiceFacts(reachable=False), "forum": ServiceFacts(reachable=True), "api": ServiceFacts()},
        free_bytes=500,
        quota_bytes=100,
        size_bytes=1000,
    )
    files = {"votes": Difference("votes", True, changed=("a",), count=1), "forum": Difference("forum", compared=False)}
    found = figures.on_host({key: SERVICES[key] for key in ("votes", "forum", "api", "main")}, {}, known, files)
    assert found.database_up == {"votes": False, "forum": True}
    assert found.live_files_changed == {"votes": 1}
    assert (found.quota_bytes, found.quota_free_bytes) == (1000, 100)
    assert figures.on_host({}, {}, Facts(), {}) == DeploymentMetrics()


def test_open_alerts_are_those_of_the_reports_whatever_their_age(tmp_path: Path) -> None:
    gates = GateSettings(required=())
    (tmp_path / "quality-reports").mkdir()
    assert figures.security_alerts(tmp_path, gates) == {}
    for kind, some in (("pass", False), ("fail", True)):
        shutil.copy(REPORTS / kind / "dependabot.json", tmp_path / "quality-reports")
        found = figures.security_alerts(tmp_path, gates)
        assert found.keys() == {"dependabot"}
        assert (found["dependabot"] > 0) is some
    (tmp_path / "quality-reports/dependabot.json").write_text("[{")
    assert figures.security_alerts(tmp_path, gates) == {}, "a report that cannot be read says nothing, not zero"


def test_open_alerts_are_what_the_newest_scan_found_not_what_the_gate_said(tmp_path: Path) -> None:
    """A waiver accepts what a scan of its commit found, until it expires; what a later scan of another commit finds counts at once."""
    now = datetime.now(UTC)
    old = (now - timedelta(days=9)).isoformat()
    commit, later, expired = "a" * 40, "b" * 40, "c" * 40

    def waiver(commit: str, days: int) -> dict[str, str]:
        until = (now + timedelta(days=days)).isoformat()
        return {
            "gate": "dependabot",
            "commit": commit,
            "reason": "it is not reachable from outside",
            "author": "Ada",
            "expires": until,
        }

    (tmp_path / "waivers.yaml").write_text(json.dumps({"waivers": [waiver(commit, 3), waiver(expired, -1)]}))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for arguments in (["init", "-q"], ["add", "waivers.yaml"], ["commit", "-qm", "waive"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    for of, open_alerts in ((commit, False), (later, True), (expired, True)):
        put(tmp_path / "quality-reports", "dependabot.json", (REPORTS / "fail/dependabot.json").read_bytes(), commit=of, time=old)
        found = figures.security_alerts(tmp_path, GateSettings(required=()))
        assert (found["dependabot"] > 0) is open_alerts, of
    report = tmp_path / "quality-reports/dependabot.json"
    put(report.parent, report.name, report.read_bytes(), commit=commit, time=old, sha256="0" * 64)
    assert figures.security_alerts(tmp_path, GateSettings(required=()))["dependabot"] > 0, (
        "a waiver accepts no report that was changed"
    )


def test_parts_add_up() -> None:
    first, second = DeploymentMetrics(duration=1, failures=0), DeploymentMetrics(quota_bytes=5, security_alerts_open={"trivy": 0})
    assert figures.together(first, second) == DeploymentMetrics(
        duration=1, failures=0, quota_bytes=5, security_alerts_open={"trivy": 0}
    )


def test_only_live_services_are_compared_with_what_they_must_hold() -> None:
    asked = integrity.request({key: SERVICES[key] for key in ("support", "main")}, {"support": "r0123456789abcdef"})
    assert asked["services"] == [
        {
            "service": "support",
            "target": "subdomains/support/httpdocs",
            "release": "r0123456789abcdef",
            "persistent": ["attachments"],
        }
    ]


def test_an_answer_without_manifest_counts_as_not_compared() -> None:
    assert integrity.difference("votes", {"manifest": None, "count": 0}) == Difference("votes", compared=False)
