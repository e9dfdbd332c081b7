"""The dry run names what would change, in files and bytes, and nothing else."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pulumi
import pytest

from catalog import reader
from catalog.manifest import File, Manifest, release_id
from components import plan
from components.artefacts import Choice
from components.facts import Facts
from tests.unit.components import program
from tests.unit.components.program import FEW, artefact, put

run = partial(program.run, services=FEW)
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


def _of_many(count: int) -> Manifest:
    files = tuple(File(path=f"{n:03}.html", size=3, sha256="f" * 64, mode="644") for n in range(count))
    return artefact("docs").model_copy(update={"release": release_id(files, (), {}), "files": files})


@pytest.mark.parametrize(
    ("known", "shown", "said"),
    [
        ("deployed", 12, "    … and 29 more (bin/mo deploy --plan --verbose names them)"),
        ("never deployed", 0, "    … (bin/mo deploy --plan --verbose names them)"),
        ("found", 0, None),
    ],
)
def test_a_verbose_plan_names_every_file_and_a_short_one_says_how_to_have_them(known: str, shown: int, said: str | None) -> None:
    old = artefact("docs").model_copy(update={"files": artefact("docs").files[:1]})
    facts: dict[str, dict[str, object]] = {
        "deployed": {"live": old.release, "manifest": old.model_dump()},
        "never deployed": {},
        "found": {"content": "directory"},
    }
    found = _plan("docs", _of_many(40), **facts[known])
    assert found is not None
    named = [line for line in plan.lines(found) if line.startswith(("    +", "    ~", "    -"))]
    told = [line for line in plan.lines(found) if "--verbose" in line]
    assert (len(named), told) == (shown, [said] if said else [])
    verbose = list(plan.lines(found, verbose=True))
    assert [line for line in verbose if line.startswith("    +")] == [f"    + {n:03}.html (3 B)" for n in range(40)]
    assert not [line for line in verbose if "…" in line]


def test_a_preview_names_every_file_where_it_is_asked_to_and_no_resource_knows_of_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, _of_many(40))
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.info", lambda text, *_: said.append(text))
    short = run(tmp_path, preview=True, services=frozenset({"docs"}))
    long = run(tmp_path, preview=True, services=frozenset({"docs"}), variables={plan.VERBOSE: "1"})
    assert ["039.html" in text for text in said] == [False, True]
    told = [{(r.type, r.name): r.inputs for r in made.resources if r.type != "pulumi:pulumi:Stack"} for made in (short, long)]
    assert told[0] == told[1]
    assert ("command:local:Command", "docs-stage") in told[0]


def test_a_release_that_the_host_holds_is_not_uploaded_again() -> None:
    old, new = artefact("docs"), artefact("docs", content="2")
    found = _plan("docs", new, live=old.release, manifest=old.model_dump(), releases=[old.release, new.release])
    assert found is not None
    assert found.upload_bytes == 0
    assert list(plan.lines(found))[1] == "  files: 1 changed of 2; nothing to upload, the host holds the release"


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


@pytest.mark.parametrize(
    ("there", "restart", "lacks"),
    [
        (("pleskctl", "systemctl"), "pleskctl restart api", ()),
        (("systemctl",), "systemctl --user restart api", ()),
        ((), "pleskctl restart api", ("pleskctl or supervisorctl or systemctl",)),
    ],
)
def test_a_restart_is_by_the_first_program_that_the_host_has(there: tuple[str, ...], restart: str, lacks: tuple[str, ...]) -> None:
    names = ("pleskctl", "supervisorctl", "systemctl")
    programs = {"python3": "/usr/bin/python3", **{name: f"/usr/bin/{name}" if name in there else None for name in names}}
    found = plan.of("api", SERVICES["api"], Choice(artefact("api")), Facts.model_validate({"programs": programs}))
    assert found is not None
    assert (found.restart, found.lacks) == (restart, lacks)


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


def test_alembic_tells_what_follows_the_databases_revision() -> None:
    new = artefact("api").model_copy(update={"migrations": ("a1", "b2", "c3")})
    known = {"live": "r" + "0" * 16, "database": True}
    for applied, pending in ((["a1"], ("b2", "c3")), (["c3"], ()), ([], ("a1", "b2", "c3")), (["zz"], ())):
        found = _plan("api", new, applied=applied, **known)
        assert found is not None
        assert found.migrations == pending


def test_the_snapshots_size_is_told_from_the_newest_one() -> None:
    new = artefact("votes")
    known = {"live": "r" + "0" * 16, "database": True, "applied": [], "database_bytes": 200_000_000}
    first = _plan("votes", new, **known)
    assert first is not None
    assert "  snapshot: size unknown before the first one, of a database of 200.0 MB; 204.2 MB must be free" in plan.lines(first)
    later = _plan("votes", new, **known, snapshot_bytes=10_000_000, snapshot_of=100_000_000)
    assert later is not None
    assert "  snapshot: about 20.0 MB, of a database of 200.0 MB; 34.2 MB must be free" in plan.lines(later)


@pytest.mark.parametrize(
    ("host", "left"),
    [
        ({"free_bytes": 3_000_000_000}, ", 3.0 GB are"),
        ({"free_bytes": 3_000_000_000, "quota_bytes": 900_000_000}, ", 900.0 MB are"),
        ({"quota_bytes": 0}, ", 0 B are"),
        ({}, ""),
    ],
)
def test_beside_the_snapshot_s_size_stands_what_is_free(host: dict[str, int], left: str) -> None:
    known = {"live": "r" + "0" * 16, "database": True, "applied": [], "database_bytes": 200_000_000}
    found = plan.of(
        "votes", SERVICES["votes"], Choice(artefact("votes")), Facts.model_validate({"services": {"votes": known}, **host})
    )
    assert found is not None
    (line,) = [text for text in plan.lines(found) if "snapshot" in text]
    assert line.endswith(f"204.2 MB must be free{left}")


@pytest.mark.parametrize(
    ("begun", "line"),
    [
        (
            {"name": "0002_x", "sha256": "1" * 64, "resumes": True},
            "half applied: 0002_x was interrupted and continues at the statement",
        ),
        (
            {"name": "0002_x", "sha256": "1" * 64},
            "half applied: 0002_x failed half-way in an earlier run; its file has changed since",
        ),
        ({"name": "0002_x", "sha256": "f" * 64}, "refused: the migration 0002_x was begun by an earlier run"),
        ({"name": "0002_x.down", "sha256": "f" * 64}, "refused: the step back of 0002_x was begun by an earlier run"),
    ],
)
def test_a_half_applied_migration_is_named_before_anything_runs(begun: dict[str, object], line: str) -> None:
    found = _plan("votes", _migrating("0002_x"), live="r" + "0" * 16, database=True, applied=[], begun=begun)
    assert found is not None
    assert [text for text in plan.lines(found) if text.startswith(f"  {line}")], list(plan.lines(found))


def _migrating(*names: str) -> Manifest:
    files = tuple(File(path=f"migrations/{name}.sql", size=3, sha256="f" * 64, mode="644") for name in names)
    return artefact("votes").model_copy(update={"files": files, "migrations": names})


OTHER = "r" + "0" * 16


@pytest.mark.parametrize(
    ("known", "code"),
    [
        ({"history": [["0001_init", "e" * 64, "done"]]}, "edited"),
        ({"history": [["0001_init", "f" * 64, "done"], ["0009_other", "", "done"]]}, "diverged"),
        ({"history": [["0001_init", "f" * 64, "done"]]}, None),
        ({"history": [["0001_init", "e" * 64, "done"]], "files": {"0001_init": ["f" * 64, "e" * 64]}}, None),
        ({"history": [["0001_init", "e" * 64, "done"]], "interrupted": True}, None),
    ],
    ids=["edited", "diverged", "same", "other line endings", "a cut run is recovered first"],
)
def test_what_the_switch_will_refuse_is_said_in_the_plan(known: dict[str, object], code: str | None) -> None:
    found = _plan("votes", _migrating("0001_init", "0002_more"), live=OTHER, database=True, **known)
    assert found is not None
    assert (found.refusal.code if found.refusal else None) == code
    assert any(line.startswith("  refused: ") for line in plan.lines(found)) is (code is not None)


def test_a_schema_that_is_newer_than_the_release_is_said_in_the_plan() -> None:
    found = _plan("votes", _migrating("0001_init"), live=OTHER, database=True, applied=["0001_init", "0002_more"])
    assert found is not None
    assert (
        "  migrations (sql, online): none; the schema is newer than the release (by 0002_more), so only the code changes"
        in plan.lines(found)
    )
    unknown_head = _plan("api", artefact("api", migrations=("a1", "b2")), live=OTHER, database=True, applied=["zz"])
    assert unknown_head is not None
    assert unknown_head.newer == ("zz",)


def test_releases_that_the_host_will_refuse_stop_a_deployment_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, *_: said.append(text))
    put(tmp_path, _released(_migrating("0001_init")))
    known = {"live": OTHER, "database": True, "history": [["0001_init", "e" * 64, "done"]]}
    facts = Facts.model_validate({"services": {"votes": known}})
    with pytest.raises(pulumi.RunError, match=r"(?s)nothing was changed.*votes: the migration 0001_init was edited"):
        run(tmp_path, facts, preview=True, services=frozenset({"votes"}))
    put(tmp_path, artefact("docs"))
    run(tmp_path, facts, preview=True, services=frozenset({"votes", "docs"}))
    assert [text for text in said if "votes: the migration 0001_init was edited" in text]


def _released(manifest: Manifest) -> Manifest:
    return manifest.model_copy(update={"release": release_id(manifest.files, manifest.links, manifest.build_inputs)})


@pytest.mark.parametrize(
    ("known", "closed"),
    [
        ({"maintenance": True}, True),
        ({"maintenance": True, "opened_by": "switch"}, False),
        ({"maintenance": True, "interrupted": True}, False),
        ({}, False),
    ],
)
def test_a_site_that_a_person_has_closed_is_named_before_anything_runs(known: dict[str, object], closed: bool) -> None:
    found = _plan("votes", artefact("votes"), live="r" + "0" * 16, **known)
    assert found is not None
    said = [text for text in plan.lines(found) if "closed by a person" in text]
    assert said == (
        ["  closed by a person: the switch refuses until bin/mo maintenance off votes opens the site"] if closed else []
    )


def test_too_little_room_for_all_of_it_is_said_before_anything_changes() -> None:
    new = artefact("votes")
    known = {"live": "r" + "0" * 16, "database": True, "applied": [], "database_bytes": 50_000_000}
    facts = Facts.model_validate({"services": {"votes": known}, "free_bytes": 40_000_000})
    found = plan.of("votes", SERVICES["votes"], Choice(new), facts)
    assert found is not None
    wrong = plan.room([found], facts)
    assert wrong is not None
    assert "Only 40.0 MB are free on the host; expected 54.2 MB" in wrong
    assert plan.room([found], facts.model_copy(update={"free_bytes": 60_000_000})) is None
    assert plan.room([found], facts.model_copy(update={"free_bytes": None})) is None
