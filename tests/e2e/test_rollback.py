"""The way back, by commands alone: to each earlier update and forward again, with and without databases, and out of a killed deployment.

One deployment of four services (files, PHP on MariaDB twice, a process on PostgreSQL), in this order.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import QUICK, Deployment, deployment
from tests.pulumi_cli import real_cli

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-rollback")]

SERVICES = ("main", "votes", "support", "api")
REASON = ("--reason", "the board has changed its mind")
RELEASE = re.compile(r'data-release="release">(r[0-9a-f]{16})<')
QUIET = 90.0
"""Seconds in which what a killed command left behind must have come to its end."""


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build(*SERVICES)
        made.run("bin/mo", "deploy", "--yes", *QUICK)
        yield made


@pytest.fixture(scope="module", params=["embedded", pytest.param("cli", marks=pytest.mark.pulumi_cli)])
def engine(site: Deployment, request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine that carries out what follows."""
    if request.param == "cli" and real_cli() is None:
        pytest.skip("there is no pulumi CLI on the PATH")
    site.engine = str(request.param)
    yield site.engine
    site.engine = "embedded"


def mo(site: Deployment, *arguments: str, expect: int | None = 0) -> str:
    return site.run("bin/mo", *arguments, expect=expect).stdout


def newest(site: Deployment) -> dict[str, Any]:
    """The last update in the history."""
    (found,) = json.loads(mo(site, "history", "-n", "1", "--json"))
    return dict(found)


def shown(site: Deployment) -> dict[str, str]:
    """The release that each service tells a visitor."""
    found = {"main": json.loads(site.sandbox.get("main", "/release.json").body)["release"]}
    found["api"] = json.loads(site.sandbox.get("api", "/health").body)["release"]
    for key in ("votes", "support"):
        answer = site.sandbox.get(key)
        match = RELEASE.search(answer.body)
        assert (answer.status, bool(match)) == (200, True), answer.body[:500]
        found[key] = match[1] if match else ""
    return found


def rows(site: Deployment, service: str, sql: str) -> list[str]:
    """The first column of a query on the service's database."""
    database = site.services[service].database
    assert database is not None
    with closing(site.sandbox.mariadb("plesk", database.name)) as link, link.cursor() as cursor:
        cursor.execute(sql)
        return [str(row[0]) for row in cursor.fetchall()]


def ticket(site: Deployment, name: str) -> None:
    """What a visitor of the support leaves."""
    rows(
        site,
        "support",
        f"INSERT INTO tickets (reference, name, email, subject, message) VALUES ('{name}', 'Probe', 'probe@flows.invalid', 'x', 'x')",
    )


def choice(site: Deployment, name: str) -> None:
    """What the board adds to the vote."""
    rows(site, "votes", f"INSERT INTO choices (poll_id, text) VALUES (1, '{name}')")


@dataclass(frozen=True)
class Data:
    """What the two MariaDB databases hold of an engine's test: schema and column of the support's, rows of both."""

    schema: str
    column: bool
    tickets: frozenset[str]
    choices: frozenset[str]


def data(site: Deployment, mark: str) -> Data:
    """As it is now; ``mark``: of the engine's rows."""
    (schema,) = rows(site, "support", "SELECT MAX(version) FROM schema_version")
    return Data(
        schema,
        f"urgent_{mark}" in rows(site, "support", "SHOW COLUMNS FROM tickets"),
        frozenset(rows(site, "support", f"SELECT reference FROM tickets WHERE reference LIKE '{mark[0].upper()}%'")),
        frozenset(rows(site, "votes", f"SELECT text FROM choices WHERE text LIKE '{mark[0].upper()}%'")),
    )


@dataclass(frozen=True)
class Update:
    """A deploy: its number in the history, and what was live after it."""

    number: int
    releases: dict[str, str]


@dataclass(frozen=True)
class Weeks:
    """Three deploys after the first one. ``mark``: of their rows and files; ``former``: the secret before the third."""

    mark: str
    base: Update
    code: Update
    migration: Update
    secret: Update


def secrets_of(site: Deployment, service: str) -> str:
    return (site.sandbox.root / ".deploy" / service / "secrets.env").read_text()


def password(mark: str) -> str:
    """The mail server's password after the third deploy."""
    return f"mail-password-of-{mark}"


@pytest.fixture(scope="module")
def weeks(site: Deployment, engine: str) -> Weeks:
    """The three deploys: of code, of a migration, of a secret alone."""
    initial, monorepo = engine[0].upper(), site.clone / "sandbox/monorepo/services"
    base = Update(newest(site)["number"], shown(site))
    choice(site, f"{initial}-before")

    site.edit("services/votes/index.php", f"\necho '<!-- code of {engine} -->';\n")
    mo(site, "build", "votes")
    mo(site, "deploy", "--yes", *QUICK)
    code = Update(newest(site)["number"], {**base.releases, "votes": site.releases(SERVICES)["votes"]})
    assert code.releases["votes"] != base.releases["votes"]
    choice(site, f"{initial}-after")

    ticket(site, f"{initial}BEFORE")
    number = len(list((monorepo / "support/migrations").glob("*.sql"))) + 1
    (monorepo / f"support/migrations/{number:04}_{engine}.sql").write_text(
        f"ALTER TABLE tickets ADD COLUMN urgent_{engine} TINYINT NOT NULL DEFAULT 0;\nUPDATE tickets SET urgent_{engine} = 1;\n"
    )
    mo(site, "build", "support")
    mo(site, "deploy", "--yes", *QUICK)
    migration = Update(newest(site)["number"], {**code.releases, "support": site.releases(SERVICES)["support"]})
    assert migration.releases["support"] != code.releases["support"]
    ticket(site, f"{initial}AFTER")

    settings = yaml.safe_load(site.sandbox.layout.settings.read_text())
    settings["secrets"]["smtpPassword"] = password(engine)
    site.sandbox.layout.settings.write_text(yaml.safe_dump(settings, sort_keys=False))
    mo(site, "deploy", "--yes", *QUICK)
    secret = Update(newest(site)["number"], migration.releases)
    return Weeks(engine, base, code, migration, secret)


def test_three_deploys_are_three_updates_of_which_each_page_shows_the_last(site: Deployment, weeks: Weeks) -> None:
    first = weeks.base.number
    assert [weeks.code.number, weeks.migration.number, weeks.secret.number] == [first + 1, first + 2, first + 3]
    assert shown(site) == weeks.secret.releases
    assert f"code of {weeks.mark}" in site.sandbox.get("votes").body
    initial = weeks.mark[0].upper()
    now = data(site, weeks.mark)
    assert now.schema.endswith(f"_{weeks.mark}")
    assert (now.column, set(now.tickets)) == (True, {f"{initial}BEFORE", f"{initial}AFTER"})
    for service in ("support", "api"):
        assert f"SMTP_PASS='{password(weeks.mark)}'" in secrets_of(site, service)


def test_without_databases_a_rollback_goes_to_each_earlier_update_and_forward_again(site: Deployment, weeks: Weeks) -> None:
    before = data(site, weeks.mark)
    # The update before the secret had the same releases: there is nothing to go back to but the secret, which never goes back.
    assert "live already; nothing was changed" in mo(site, "rollback", "--yes", *REASON, "--to", str(weeks.migration.number))
    assert newest(site)["number"] == weeks.secret.number

    told = mo(site, "rollback", "--yes", *REASON)
    assert f"update {weeks.code.number} of" in told
    assert "support: its database stays ahead of this release" in told
    assert shown(site) == weeks.code.releases
    assert data(site, weeks.mark) == before
    report = site.report()
    (phase,) = [one for one in report["phases"] if one["name"] == "rollback"]
    assert (report["kind"], report["succeeded"], phase["details"]["ahead"]) == ("rollback", True, ["support"])

    told = mo(site, "rollback", "--yes", *REASON)
    assert f"update {weeks.base.number} of" in told, "twice goes back twice"
    assert shown(site) == weeks.base.releases
    assert f"code of {weeks.mark}" not in site.sandbox.get("votes").body
    assert data(site, weeks.mark) == before

    mo(site, "rollback", "--yes", *REASON, "--to", str(weeks.secret.number))
    assert shown(site) == weeks.secret.releases
    assert f"code of {weeks.mark}" in site.sandbox.get("votes").body
    assert data(site, weeks.mark) == before
    for service in ("support", "api"):
        assert f"SMTP_PASS='{password(weeks.mark)}'" in secrets_of(site, service)


def test_with_databases_each_goes_back_to_what_it_was_and_forward_again(site: Deployment, weeks: Weeks) -> None:
    initial = weeks.mark[0].upper()
    here = newest(site)["number"]
    ticket(site, f"{initial}LATER")
    choice(site, f"{initial}-later")
    before = data(site, weeks.mark)

    told = mo(site, "rollback", "--yes", *REASON, "--to", str(weeks.code.number), "--restore-databases", "support")
    assert "support: its database goes back too" in told
    assert shown(site) == weeks.code.releases
    now = data(site, weeks.mark)
    assert (now.column, set(now.tickets), now.choices) == (False, {f"{initial}BEFORE"}, before.choices)
    assert now.schema < before.schema
    newest_snapshot = json.loads(mo(site, "snapshots", "list", "support", "--json"))[-1]
    assert newest_snapshot["schema"] == before.schema, "what it was before is kept"

    mo(site, "rollback", "--yes", *REASON, "--to", str(weeks.base.number), "--restore-databases", "all")
    assert shown(site) == weeks.base.releases
    assert data(site, weeks.mark).choices == {f"{initial}-before"}

    mo(site, "rollback", "--yes", *REASON, "--to", str(here), "--restore-databases", "all")
    assert shown(site) == weeks.secret.releases
    assert data(site, weeks.mark) == before
    for service in ("support", "api"):
        assert f"SMTP_PASS='{password(weeks.mark)}'" in secrets_of(site, service)


# --- killed


def another(site: Deployment) -> dict[str, str]:
    """Changes all services and builds them; their releases."""
    mark = time.time_ns()
    site.edit("website/index.html", f"<!-- {mark} -->\n")
    for key in ("votes", "support"):
        site.edit(f"services/{key}/index.php", f"// {mark}\n")
    (site.clone / "sandbox/monorepo/api.menschlichkeit-oesterreich.at/KILL").write_text(f"{mark}\n")
    mo(site, "build", *SERVICES)
    return site.releases(SERVICES)


def lines_of(run: Path) -> list[tuple[str, str | None]]:
    """Event and phase of each whole line of a journal."""
    told = [json.loads(line) for line in run.read_text().split("\n")[:-1]]
    return [(line["event"], line.get("phase")) for line in told]


def journal(site: Deployment, known: set[Path]) -> Path | None:
    """The journal that is not among the known ones."""
    return next((path for path in runs(site) if path not in known), None)


def runs(site: Deployment) -> set[Path]:
    return set((site.clone / ".mo/sandbox/runs").glob("*.jsonl"))


def killed(site: Deployment, *, when: Callable[[Path | None], bool], engine_too: bool) -> Path:
    """Deploys all services and kills the command, as soon as ``when`` says so of its journal; with its engine, or that one left alone.

    What runs on the host lives on in either case. Gives the journal of a run that did not come to its end."""
    known = runs(site)
    command = site.start("bin/mo", "deploy", "--yes", *QUICK)
    end = time.monotonic() + QUIET
    try:
        while command.poll() is None and time.monotonic() < end and not when(journal(site, known)):
            time.sleep(0.005)
    finally:
        if command.poll() is None:
            (os.killpg if engine_too else os.kill)(command.pid, signal.SIGKILL)
        command.wait()
    made = journal(site, known)
    assert made is not None, "it was killed before it had begun"
    return made


def at(event: str, phase: str) -> Callable[[Path | None], bool]:
    return lambda run: run is not None and (event, phase) in lines_of(run)


def after(seconds: float) -> Callable[[Path | None], bool]:
    """So long after the update has begun."""
    begun: list[float] = []

    def told(run: Path | None) -> bool:
        if not begun and at("start", "up")(run):
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] >= seconds

    return told


def tells_the_truth(site: Deployment, run: Path, former: dict[str, str]) -> bool:
    """Whether the killed run had come to where the host changes, as ``bin/mo status`` says it too."""
    lines = lines_of(run)
    changed = ("start", "up") in lines
    before = {key: site.live(key) for key in SERVICES}
    told = json.loads(mo(site, "status", "--json", expect=1))
    later = {key: site.live(key) for key in SERVICES}
    cut = told["interrupted"]
    assert (cut["run"], cut["state"], cut["changed"]) == (run.stem, "interrupted", changed)
    event, phase = lines[-1]
    assert cut["phase"] == (phase if event == "start" else None) or event in ("lock", "plan")
    if ("end", "lock") in lines:
        assert told["lock"]["who"] == cut["who"]
    for row in told["services"]:
        key = row["service"]
        if key in SERVICES and before[key] == later[key]:
            assert row["release"] == before[key] or f"{before[key]} is live" in row["problem"], row
    if not changed:
        assert later == former
    return changed


def ends_well(site: Deployment, releases: dict[str, str]) -> None:
    """Every service answers, with the release that state and history have, and that is the one meant; nothing is left to be done."""
    assert {key: site.sandbox.get(key, site.services[key].health.path).status for key in SERVICES} == dict.fromkeys(SERVICES, 200)
    assert {key: site.live(key) for key in SERVICES} == releases
    assert shown(site) == releases
    told = json.loads(mo(site, "status", "--json"))
    assert (told["interrupted"], told["running"], told["lock"], told["unknown"]) == (None, None, None, [])
    rows_ = {row["service"]: (row["release"], row["problem"]) for row in told["services"] if row["service"] in SERVICES}
    assert rows_ == {key: (release, None) for key, release in releases.items()}
    assert {key: release for key, release in newest(site)["releases"].items() if key in SERVICES} == releases


CHANCE = random.Random(int(os.environ.get("MO_TEST_SEED", "20261121")))
KILLS = int(os.environ.get("MO_TEST_KILLS", "3"))
PHASES = (
    *("window", "lock", "closed sites", "gates", "preview", "issue", "up", "smoke"),
    *("status page", "report", "issue closed", "notify"),
)
EDGES = [(event, phase) for phase in PHASES for event in ("start", "end")][:-1]
"""Where the journal has a line. After the last phase there is the run's own end alone."""
UP = EDGES.index(("start", "up"))


def _cases() -> Iterator[Any]:
    """When the command is killed, whether its engine with it, and the way out. Three, or (from 20 on) every line and so many moments."""
    chosen = range(len(EDGES)) if KILLS >= 20 else (UP - 3, UP)
    for number in chosen:
        event, phase = EDGES[number]
        way = "rollback" if number > UP and number % 3 == 0 else "resume"
        yield pytest.param((event, phase), number // 2 % 2 == 1, way, id=f"{event}-{phase.replace(' ', '-')}-{way}")
    for number in range(KILLS - (0 if KILLS >= 20 else len(chosen))):
        way = ("rollback", "resume", "resume", "rollback")[number % 4]
        yield pytest.param(CHANCE.uniform(0.1, 6.0), number % 2 == 0, way, id=f"random-{number}-{way}")


@pytest.mark.parametrize(("moment", "engine_too", "way"), list(_cases()))
def test_killed_at_any_moment_status_tells_the_truth_and_both_ways_out_end_well(
    site: Deployment, moment: tuple[str, str] | float, engine_too: bool, way: str
) -> None:
    for _ in range(4):
        former, meant = {key: site.live(key) for key in SERVICES}, another(site)
        assert all(meant[key] != former[key] for key in SERVICES)
        run = killed(site, when=after(moment) if isinstance(moment, float) else at(*moment), engine_too=engine_too)
        if ("done", None) not in lines_of(run):
            break
        # The update was quicker than that.
        assert isinstance(moment, float)
        moment /= 2
    assert ("done", None) not in lines_of(run)
    changed = tells_the_truth(site, run, former)

    if way == "resume":
        assert f"Going on with the deployment {run.stem}" in mo(site, "deploy", "--resume", "--yes")
        ends_well(site, meant)
        assert f"{run.stem}, which was interrupted" in site.report()["resumed"]
    else:
        assert changed
        mo(site, "rollback", "--yes", "--reason", "the laptop was closed")
        ends_well(site, former)
