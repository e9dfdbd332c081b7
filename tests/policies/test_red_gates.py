"""Every gate red in turn, on the sandbox with the real program: with the pack and without it the update ends with an error, and the host's
files, the databases and GitHub are as before."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence.gates import GATES
from tests.policies.analyzer import PACK
from tests.sandbox_fixture import Sandbox
from tests.unit.evidence.folder import CASES, COMMIT, put, the_report

ROOT = PACK.parent
OWN = {"dist", ".mo", "quality-reports", ".sandbox", "__main__.py", "Pulumi.yaml", "Pulumi.sandbox.yaml", "waivers.yaml", ".git"}

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


class Project:
    """The program in a folder of its own: the checkout's packages, its own reports and artefacts."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder, self.sandbox = folder, sandbox
        for entry in ROOT.iterdir():
            if entry.name not in OWN:
                (folder / entry.name).symlink_to(entry)
        for name in ("__main__.py", "Pulumi.yaml"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / "dist").mkdir()
        for name in ("build.json", "manifest.json"):
            (folder / "dist" / name).write_text(json.dumps({"version": 1, "commit": COMMIT, "dirty": False, "services": {}}))

    def up(self, gate: str, pack: bool) -> subprocess.CompletedProcess[str]:
        required = {"required": [gate], "reports": "quality-reports"}
        config = self.sandbox.stack_file(self.folder, gates=required)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "MO_"))}
        # The host's client looks beside itself, which is in the checkout.
        own = {"MO_STATE_DIR": str(self.folder / ".mo" / "sandbox"), "MO_DIST_DIR": str(self.folder / "dist")}
        env = {**clean, **self.sandbox.environment(), **own, "PULUMI_ENGINE": "embedded", "PULUMI_STACK": "sandbox"}
        if not pack:
            env["PULUMI_OPTION_POLICY_PACK"] = ""
        return subprocess.run(
            [str(ROOT / "bin" / "pulumi"), "up", "--yes", "--skip-preview", "--stack", "sandbox", "--config-file", str(config)],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def project(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("project"), sandbox)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "MO_"))}
    subprocess.run(
        [str(ROOT / "bin" / "pulumi"), "stack", "init", "sandbox"],
        cwd=made.folder,
        env={**clean, **sandbox.environment(), "PULUMI_ENGINE": "embedded"},
        capture_output=True,
        check=False,
    )
    return made


def state(sandbox: Sandbox) -> tuple[str, tuple[str, ...], int]:
    """Checksum of the host's files but its logs, names of databases, accounts and rights, and how many requests GitHub got."""
    digest = hashlib.sha256()
    for path in sorted(sandbox.root.rglob("*")):
        if "logs" not in path.relative_to(sandbox.root).parts:
            digest.update(f"{path} {path.lstat().st_mode} {os.readlink(path) if path.is_symlink() else ''}".encode())
            digest.update(path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
    names: list[str] = []
    for server in ("plesk", "external-mariadb"):
        with sandbox.mariadb(server) as connection, connection.cursor() as cursor:
            for query in (
                "SELECT schema_name FROM information_schema.schemata",
                "SELECT CONCAT(user, '@', host) FROM mysql.user",
                "SELECT CONCAT(user, '@', host, ' ', db) FROM mysql.db",
            ):
                cursor.execute(query)
                names += sorted(str(row[0]) for row in cursor.fetchall())
    with sandbox.postgresql() as postgresql:
        names += [
            str(row[0])
            for row in postgresql.execute("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles ORDER BY 1")
        ]
    return digest.hexdigest(), tuple(names), len(sandbox.github.requests())


def red_report(gate: str) -> Path | None:
    """A report that fails the gate."""
    found = {name: case for case, names in CASES.items() for name in names}
    if gate == "integration-tests":
        return the_report("pytest", "fail")
    return the_report(found[gate], "fail") if gate in found else None


def put_report(project: Project, report: Path, name: str, **note: Any) -> None:
    """The one report that there is, as of now."""
    reports = project.folder / "quality-reports"
    for old in sorted(reports.rglob("*"), reverse=True) if reports.exists() else ():
        old.unlink() if old.is_file() else old.rmdir()
    content = report.read_bytes()
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    if b'"check"' in content:
        content = json.dumps({**json.loads(content), "commit": COMMIT, "uncommitted": False, "time": stamp}).encode()
    put(reports, name, content, **note, time=stamp)


@pytest.mark.parametrize("gate", list(GATES))
def test_a_red_gate_stops_the_update_before_anything_changes(project: Project, gate: str) -> None:
    report = red_report(gate) or the_report("phpstan", "pass")
    name = "integration.xml" if gate == "integration-tests" else report.name
    if report.parent.name == "lighthouse":
        name = f"lighthouse/{name}"
    put_report(project, report, name, measures={"level": 5})
    before = state(project.sandbox)
    for pack in (True, False):
        done = project.up(gate, pack)
        said = done.stdout + done.stderr
        assert done.returncode != 0, said
        assert gate in said, said
        assert ("[mandatory]" in said) is pack, said
        assert state(project.sandbox) == before


def test_the_same_project_with_a_green_gate_changes_databases_and_github_so_that_it_is_the_gate_that_kept_them(
    project: Project,
) -> None:
    report = the_report("eslint", "pass")
    put_report(project, report, report.name)
    before = state(project.sandbox)
    try:
        done = project.up("eslint", pack=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        after = state(project.sandbox)
        assert all(one != other for one, other in zip(before, after, strict=True))
    finally:
        project.sandbox.reset()
