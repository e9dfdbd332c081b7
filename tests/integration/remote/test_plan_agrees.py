"""The preview is what the host does: over what the database has, what the release brings, and how its files are written, for each tool."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog import manifest as manifests
from catalog import reader
from catalog.activation import Activation
from catalog.models import Migration
from components.facts import ServiceFacts
from components.remote.client.decide import Plan
from components.schema import decision

from .conftest import Service
from .databases import MariaDB, PostgreSQL
from .test_activation import tell
from .test_migrations import Data

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]
EXAMPLES = 60 if "MO_TEST_EVERY" in os.environ else 6
SAMPLED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # each example takes seconds: the first one that differs is told as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize="MO_TEST_EVERY" not in os.environ,
)
NAMES = ("0001_a", "0002_b", "0003_c")
NUMBERS = itertools.count()


def text_of(content: int, form: str) -> bytes:
    """A migration's file: one of two contents, as Unix or Windows writes it. It changes nothing, so that any history fits the tables."""
    text = f"-- content {content}\nSELECT {content};\nSELECT 7;\n"
    written = text.replace("\n", "\r\n") if form.endswith("crlf") else text
    return (b"\xef\xbb\xbf" if form.startswith("bom") else b"") + written.encode()


FORMS = st.sampled_from(["lf", "crlf", "bom", "bom-crlf"])
TEXTS = st.tuples(st.sampled_from([0, 0, 0, 1]), FORMS)


@dataclass(frozen=True)
class Case:
    """``brings``: the release's migrations with their texts; ``has``: name, text (``None``: no checksum), state; ``begun``: one that an
    earlier run left, and how; ``staged``: whether the host holds the release already; ``content``: whether there are tables of a site;
    ``back``: whether a rollback makes the release live."""

    brings: dict[str, tuple[int, str]]
    has: list[tuple[str, tuple[int, str] | None, str]]
    begun: tuple[str, tuple[int, str], str] | None
    staged: bool
    content: bool
    back: bool


@st.composite
def cases(draw: st.DrawFn, states: tuple[str, ...], begins: bool) -> Case:
    brings = {name: draw(TEXTS) for name in draw(st.sets(st.sampled_from(NAMES))) or ()}
    known = [*NAMES, "0009_elsewhere"]
    names = draw(st.sampled_from([known[:n] for n in range(4)] + [[known[1]], [known[0], known[3]], [known[3]]]))
    has = [(name, draw(st.none() | TEXTS), draw(st.sampled_from(states))) for name in names]
    begun = None
    if begins and draw(st.booleans()):
        begun = (draw(st.sampled_from(NAMES)), draw(TEXTS), draw(st.sampled_from(["steps", "whole", "failed"])))
    staged, content = draw(st.booleans()), draw(st.booleans())
    back = draw(st.sampled_from([False, False, True]))
    return Case(dict(sorted(brings.items())), has, begun, staged, content, back)


def sha(text: tuple[int, str] | None) -> str:
    return "" if text is None else hashlib.sha256(text_of(*text)).hexdigest()


class Host:
    """A service of one kind of migrations, and both answers to what a release of it would do."""

    def __init__(self, service: Service, server: MariaDB | PostgreSQL, kind: str, **migrate: Any) -> None:
        folder = migrate.pop("directory", "m")
        self.data = Data(service, server, kind=kind, directory=folder, **migrate)
        self.data.schema = migrate.get("schema")
        self.service, self.kind, self.folder = service, kind, folder
        self.user = "svc_" + service.key
        entry = reader.read().services["votes"]
        declared = Migration(kind=kind, mode="online", directory=folder)  # type: ignore[arg-type]
        self.entry = entry.model_copy(update={"steps": entry.steps.model_copy(update={"migrate": declared})})

    def own(self, table: str) -> None:
        if isinstance(self.data.server, PostgreSQL):
            self.data.query(f"ALTER TABLE {table} OWNER TO {self.user}")

    def compare(
        self, files: dict[str, str | bytes], names: list[str], *, staged: bool = False, back: bool = False, **manifest: Any
    ) -> Plan:
        """The plan of a release, which the host has carried out, or refused, as planned."""
        files = {"index.html": f"page {next(NUMBERS)}", **files}
        make = self.service.stage if staged else lambda *a, **k: self.service.remote.artefact(self.service.key, *a, **k)
        release = make(files, migrations=names, **manifest)
        migrate = {"kind": self.kind, "directory": self.folder}
        database = {"engine": self.data.engine, "name": self.data.name}
        query = self.data.schema["query"] if self.data.schema else None
        asked = {"service": self.service.key, "target": self.service.target, "release": release, "database": database}
        told = self.service.remote.run("facts", programs=[], services=[{**asked, "migrate": migrate, "schema": query}])
        known = ServiceFacts.model_validate(told["services"][self.service.key])
        folder = self.service.remote.dist / self.service.key
        planned = decision(known, manifests.load(folder / "manifest.json"), self.entry, folder, back=back)
        assert planned is not None, known
        tell(self.service, release, Activation.of(self.entry), back=back)
        if not staged:
            stage = {"service": self.service.key, "release": release, "target": self.service.target, "strategy": "symlink"}
            self.service.remote.run("stage", **stage, hard_links=True, dependencies=None, keep=5)
        fields = self.data.fields(names)
        if manifest.get("migration_parents"):
            fields["migrate"]["parents"] = manifest["migration_parents"]
        child = self.service.remote.popen("switch", **self.service.request(release, **fields))
        out, err = child.communicate(timeout=120)
        if planned.refusal is not None:
            assert child.returncode == 1, (planned.refusal.code, out)
            assert planned.refusal.text in err.decode()
            return planned
        assert child.returncode == 0, (planned.schema, planned.pending, err.decode())
        did = json.loads(out)
        assert did["schema"] == {"pending": "migrated"}.get(planned.schema, planned.schema)
        if self.kind not in ("drush", "command"):
            assert did["migrations"] == planned.pending
        return planned


def by_name(host: Host, case: Case) -> Plan:
    """Gives the database the history of a case, and the host what an earlier run left."""
    for table in ("schema_version", "_mo_progress", "_prisma_migrations", "content"):
        host.data.query(f"DROP TABLE IF EXISTS {table}")
    if case.content:
        host.data.query("CREATE TABLE content (id int)")
        host.own("content")
    if host.kind == "sql":
        host.data.query(
            "CREATE TABLE schema_version (version varchar(190) PRIMARY KEY, checksum char(64), applied_at timestamp NULL)"
        )
        host.own("schema_version")
        rows = [f"('{name}', '{sha(text)}', NULL)" for name, text, _ in case.has]
        if rows:
            host.data.query(f"INSERT INTO schema_version VALUES {', '.join(rows)}")
    else:
        host.data.query(
            "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamp NULL, "
            "migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamp NULL, "
            "started_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, applied_steps_count integer NOT NULL DEFAULT 0)"
        )
        host.own("_prisma_migrations")
        ends = {"done": "CURRENT_TIMESTAMP, NULL", "failed": "NULL, NULL", "rolled": "NULL, CURRENT_TIMESTAMP"}
        for name, text, state in case.has:
            host.data.query(
                "INSERT INTO _prisma_migrations (id, migration_name, checksum, finished_at, rolled_back_at) "
                f"VALUES ('{name}', '{name}', '{sha(text)}', {ends[state]})"
            )
    left = host.service.base / "migrating"
    left.unlink(missing_ok=True)
    if case.begun is not None:
        name, text, way = case.begun
        left.write_text(f"{sha(text)} {name} r0 {'whole' if way == 'failed' else way}\n{'failed' * (way == 'failed')}")
        host.service.remote.own(left)
    path = "{}.sql" if host.kind == "sql" else "{}/migration.sql"
    files: dict[str, str | bytes] = {f"m/{path.format(name)}": text_of(*text) for name, text in case.brings.items()}
    return host.compare(files, list(case.brings), staged=case.staged, back=case.back)


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    found: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return found


@SAMPLED
@given(case=cases(("done",), begins=True))
def test_plain_sql(service: Service, server: MariaDB | PostgreSQL, case: Case) -> None:
    by_name(_kept(service, server, "sql"), case)


@SAMPLED
@given(case=cases(("done", "done", "done", "failed", "rolled"), begins=False))
def test_prisma(service: Service, server: MariaDB | PostgreSQL, case: Case) -> None:
    by_name(_kept(service, server, "prisma"), case)


_HOSTS: dict[int, Host] = {}


def _kept(service: Service, server: MariaDB | PostgreSQL, kind: str, **migrate: Any) -> Host:
    """One host for all examples of a test."""
    if id(service) not in _HOSTS:
        _HOSTS.clear()
        _HOSTS[id(service)] = Host(service, server, kind, **migrate)
    return _HOSTS[id(service)]


LINE: dict[str, list[str]] = {"m1": [], "m2": ["m1"]}
BRANCHED = {**LINE, "city": ["m2"], "phone": ["m2"], "merged": ["phone", "city"]}
# Alembic, reduced to its effect on alembic_version: the heads of the release, which stand in a file of it.
ALEMBIC = """
import os, subprocess, sys
if sys.argv[1:] != ["upgrade", "heads"]:
    sys.exit(1)
told = os.environ
client = ["mariadb", "-h", told["DB_HOST"], "-P", told["DB_PORT"], "-u", told["DB_USER"], told["DB_NAME"]]
sys.exit(subprocess.run(client, stdin=open("heads.sql"), env={**told, "MYSQL_PWD": told["DB_PASS"]}).returncode)
"""


@SAMPLED
@given(
    release=st.sampled_from([LINE, BRANCHED]),
    current=st.sampled_from(
        [[], ["m1"], ["m2"], ["city"], ["phone"], ["city", "phone"], ["merged"], ["other"], ["city", "other"], ["merged", "other"]]
    ),
)
def test_alembic(service: Service, mariadb: MariaDB, release: dict[str, list[str]], current: list[str]) -> None:
    host = _kept(service, mariadb, "alembic", schema={"query": "SELECT version_num FROM alembic_version", "expect": None})
    host.data.query("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY)")
    host.data.query("DELETE FROM alembic_version")
    for name in current:
        host.data.query(f"INSERT INTO alembic_version VALUES ('{name}')")
    head = list(release)[-1]
    files: dict[str, str | bytes] = {
        "alembic/__main__.py": ALEMBIC,
        "heads.sql": f"DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('{head}');",
    }
    more: dict[str, Any] = {"migration_parents": release} if release is BRANCHED else {}
    host.compare(files, list(release), **more)


VERSIONS = st.sampled_from(["5.9.10", "5.70.1", "5.71.0"])


@pytest.mark.parametrize("kind", ["drush", "command"])
@SAMPLED
@given(now=VERSIONS, code=VERSIONS, back=st.booleans())
def test_commands(service: Service, mariadb: MariaDB, kind: str, now: str, code: str, back: bool) -> None:
    query = {"query": "SELECT version FROM civicrm_domain", "expect": None}
    host = _kept(service, mariadb, kind, commands=[["sh", "drush", "updatedb", "-y"]], schema=query)
    host.data.query("CREATE TABLE IF NOT EXISTS civicrm_domain (version varchar(20))")
    host.data.query("DELETE FROM civicrm_domain")
    host.data.query(f"INSERT INTO civicrm_domain VALUES ('{now}')")
    drush = (
        'case $1 in updatedb:status) exit 0 ;; esac\nMYSQL_PWD=$DB_PASS mariadb -h "$DB_HOST" -P "$DB_PORT" -u "$DB_USER" "$DB_NAME" '
        f"-e \"UPDATE civicrm_domain SET version='{code}'\"\n"
    )
    host.compare({"drush": drush}, [code], back=back)
