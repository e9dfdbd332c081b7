"""A database that lacks what its live release came with is a drift, whatever the tool that migrates."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import reader
from components.facts import Facts, ServiceFacts
from operations import drifts, mending
from operations.integrity import Beside
from tests.unit.components.program import artefact

MIGRATIONS = ("0001_init", "0002_state", "0003_urgent")


@pytest.mark.parametrize(
    ("service", "applied", "lacking"),
    [
        ("support", ["0001_init"], ["0002_state", "0003_urgent"]),
        ("support", list(MIGRATIONS), []),
        ("support", [*MIGRATIONS, "0004_later"], []),
        ("support", None, []),
        ("api", ["0002_state"], ["0003_urgent"]),  # Alembic tells its last revision alone
        ("api", ["0003_urgent"], []),
        ("crm", ["5.81.0"], []),  # only running drush tells
        ("main", None, []),
    ],
)
def test_a_missing_migration_of_the_live_release_is_named(service: str, applied: list[str] | None, lacking: list[str]) -> None:
    entry = reader.read().services[service]
    manifest = artefact(service, migrations=MIGRATIONS)
    known = ServiceFacts(
        live=manifest.release, manifest=manifest, applied=None if applied is None else tuple(applied), database=True
    )
    found = drifts.of({service: entry}, {service: manifest.release}, Facts(services={service: known}))
    told = f"its database lacks {', '.join(lacking)}, which its live release {manifest.release} came with"
    assert [(one.kind, one.what) for one in found] == ([("schema", told)] if lacking else [])


def test_of_a_release_that_is_not_live_nothing_is_compared_but_that() -> None:
    entry = reader.read().services["support"]
    manifest = artefact("support", migrations=MIGRATIONS)
    known = ServiceFacts(live="r0000000000000000", manifest=manifest, applied=(), database=True)
    assert drifts.missing_migrations(entry, known) == ()


def test_what_was_changed_beside_the_releases_is_named_and_mended_by_nobody() -> None:
    beside = Beside(
        ("common", "switch"), "/r/.deploy/.tool/ab", ("votes",), {"api": ("0123", 5, tuple(f"changed f{n}" for n in range(5)))}
    )
    found = drifts.of_beside(beside, "production")
    assert [(one.service, one.kind) for one in found] == [(drifts.HOST, "tool"), ("votes", "secrets"), ("api", "environment")]
    assert found[0].what == (
        "2 host programs in /r/.deploy/.tool/ab differ from this checkout's: common, switch; none is started until that folder is removed"
    )
    assert "bin/pulumi up --stack production --replace '**::votes-env'" in found[1].what
    assert (
        "5 files of its virtual environment differ: changed f0, changed f1, changed f2, …; remove .deploy/.venvs/0123"
        in found[2].what
    )
    assert not {one.kind for one in found} & {*drifts.MENDED}
    assert mending.mend(Path("/nowhere"), "production", {}, {}, found, [], lambda text: None) == []
    assert drifts.of_beside(Beside(), "production") == []
