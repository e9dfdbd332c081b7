"""The dry run names what would change, in files and bytes, and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from catalog import reader
from catalog.manifest import File, Manifest
from components import plan
from components.artefacts import Choice
from components.facts import Facts
from tests.unit.components.program import artefact, put, run

SERVICES = reader.read().services


def _plan(service: str, new: Manifest, **known: object) -> plan.ServicePlan | None:
    return plan.of(service, SERVICES[service], Choice(new), Facts.model_validate({"services": {service: known}}))


def test_one_changed_file_is_the_whole_plan() -> None:
    old, new = artefact("docs"), artefact("docs", content="2")
    found = _plan("docs", new, live=old.release, manifest=old.model_dump())
    assert found is not None
    assert found.files == (plan.FileChange("changed", "index.html", 11),)
    assert list(plan.lines(found)) == [
        f"docs: {old.release} → {new.release}",
        "  files: 1 changed of 2; 11 B to upload",
        "    ~ index.html (11 B)",
    ]


def test_a_live_release_has_no_plan() -> None:
    new = artefact("docs")
    assert _plan("docs", new, live=new.release) is None


def test_added_and_removed_files_are_told_apart() -> None:
    old = artefact("docs")
    new = artefact("docs").model_copy(
        update={"release": "r" + "1" * 16, "files": (old.files[0], File(path="new.html", size=3, sha256="f" * 64, mode="644"))}
    )
    found = _plan("docs", new, live=old.release, manifest=old.model_dump())
    assert found is not None
    assert found.files == (plan.FileChange("removed", "index.html", 11), plan.FileChange("added", "new.html", 3))
    assert found.upload_bytes == 3


def test_a_changed_mode_is_a_change() -> None:
    old = artefact("docs")
    new = old.model_copy(
        update={"release": "r" + "1" * 16, "files": (old.files[0].model_copy(update={"mode": "755"}), old.files[1])}
    )
    found = _plan("docs", new, live=old.release, manifest=old.model_dump())
    assert found is not None
    assert found.files == (plan.FileChange("changed", "about.html", 7),)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"live": "adopted", "applied": ["0001_init"]}, "0002_more"),
        ({"live": "adopted", "applied": ["0001_init", "0002_more"]}, "none pending"),
        ({"live": "adopted"}, "unknown before they run"),
        ({"database": False}, "0001_init, 0002_more"),
    ],
)
def test_pending_migrations_are_listed_where_they_can_be_known(known: dict[str, object], said: str) -> None:
    found = _plan("votes", artefact("votes", migrations=("0001_init", "0002_more")), **known)
    assert found is not None
    assert f"  migrations (sql, online): {said}" in plan.lines(found)


def test_drush_is_said_to_be_unknown() -> None:
    found = _plan("crm", artefact("crm"), live="adopted", applied=["1"])
    assert found is not None
    assert "  migrations (drush, offline): unknown before they run" in plan.lines(found)


def test_accounts_to_be_made_and_restarts_are_named() -> None:
    found = _plan("api", artefact("api"), database=False)
    assert found is not None
    text = list(plan.lines(found))
    assert "  to be made: database mo_api, account svc_api" in text
    assert "  restart: pleskctl restart api" in text


def test_a_preview_says_it_on_the_service_and_only_for_services_that_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    same, old, new = put(tmp_path, artefact("votes")), artefact("docs"), put(tmp_path, artefact("docs", content="2"))
    facts = Facts.model_validate(
        {"services": {"votes": {"live": same.release}, "docs": {"live": old.release, "manifest": old.model_dump()}}}
    )
    log = logging.getLogger("pulumi-plan-test")
    with caplog.at_level(logging.INFO, logger=log.name):
        run(tmp_path, facts, preview=True, log=log)
    said = [r.getMessage() for r in caplog.records if r.name == log.name and r.levelno == logging.INFO]
    assert len(said) == 1
    assert said[0].startswith(f"docs: {old.release} → {new.release}")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger=log.name):
        run(tmp_path, facts, log=log)
    assert [r for r in caplog.records if r.name == log.name and r.levelno == logging.INFO] == []


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (9999, "9999 B"), (10_000, "10.0 kB"), (1_500_000, "1.5 MB"), (2 * 10**12, "2000.0 GB")]
)
def test_sizes_are_legible(count: int, said: str) -> None:
    assert plan.size(count) == said
