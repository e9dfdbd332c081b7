"""A release is activated and checked by its own rules, also after the catalogue has changed; and an upgrade of the tool changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from catalog.activation import Activation
from catalog.manifest import Link, Manifest
from catalog.models import Health, HostSteps, Migration, Restart, Service
from catalog.settings import RollbackSettings
from components import activation
from components.artefacts import Choice, Wishes
from components.facts import Facts, ServiceFacts, parse
from components.release import ReleaseArgs, activation_of, health_probe, stage_request, switch_request
from components.remote.client.activation import told
from components.remote.client.failure import Failure
from tests.unit.components.program import FEW, Run, artefact, put, run

CATALOG = reader.read().services
ROLLBACK = {"update": 3, "reason": "r", "author": "a", "time": "2026-11-21T09:00:00Z"}
VOTES = CATALOG["votes"]
BEFORE: dict[str, tuple[dict[str, Any], str, Any]] = {
    # what the catalogue said before: change of the entry, where the request of switch says it, what it must say
    "migration added": ({"steps": VOTES.steps.model_copy(update={"migrate": None}), "schema_query": None}, "migrate", None),
    "migration's kind changed": (
        {"steps": HostSteps(migrate=Migration(kind="command", mode="online", commands=(("php", "up.php"),)))},
        "migrate",
        {"kind": "command", "mode": "online", "timeout": 600, "directory": None, "commands": [["php", "up.php"]], "migrations": []},
    ),
    "health path changed": ({"health": Health(path="/old-health", contains="old")}, "probe.path", "/old-health"),
    "secret added": ({"secrets": ()}, "probe.path", VOTES.health.path),
    "persistent path added": ({"persistent": ()}, "persistent", list(VOTES.persistent)),
    "persistent path removed": ({"persistent": ("old-uploads",)}, "persistent", ["old-uploads", *VOTES.persistent]),
    "restart removed": (
        {"steps": VOTES.steps.model_copy(update={"restart": Restart(command=("touch", "x"))})},
        "restart",
        {"command": ["touch", "x"], "budget": 10},
    ),
    "program added": ({"steps": VOTES.steps.model_copy(update={"programs": ("tool-of-then",)})}, "programs", [["tool-of-then"]]),
}


def args_of(key: str, entry: Service) -> ReleaseArgs:
    return ReleaseArgs("s", "h", key, entry, Choice(artefact(key)), "example.org", "symlink", "refuse", 5, ())


@pytest.mark.parametrize("key", CATALOG)
def test_rules_that_are_the_catalogue_s_change_no_request_by_a_byte(key: str) -> None:
    entry = CATALOG[key]
    own = Activation.model_validate_json(Activation.of(entry).model_dump_json())
    assert own.applied_to(entry) is entry
    switch, stage = switch_request(args_of(key, entry)), stage_request(args_of(key, entry))
    read = activation_of(switch, stage, {"probe": health_probe(entry, "example.org")})
    assert read == Activation.of(entry).model_copy(update={"secrets": None})
    again = read.applied_to(entry)
    assert json.dumps(switch_request(args_of(key, again))) == json.dumps(switch)
    assert again.health == entry.health


@pytest.mark.parametrize("request_", [{}, {"probe": 7}, {"runtime": "php", "migrate": 1, "schema": None, "probe": {}}])
def test_what_is_no_request_of_a_switch_has_no_rules(request_: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no requests of a release|validation error"):
        activation_of(request_)


def old_release(root: Path, *changes: str) -> Manifest:
    """A release of ``votes`` in the store, built when the catalogue said otherwise."""
    entry = VOTES
    for name in changes:
        entry = entry.model_copy(update=BEFORE[name][0])
    manifest = artefact("votes", content="o").model_copy(update={"activation": Activation.of(entry)})
    folder = root / "dist/.store/votes" / manifest.release
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return manifest


def back_to(root: Path, manifest: Manifest, **facts: Any) -> Run:
    new = put(root, artefact("votes"))
    known = {"live": new.release, "releases": [new.release, manifest.release], **facts}
    services = Facts(services={"votes": ServiceFacts.model_validate(known)})
    return run(root, services, services=FEW, releases={"votes": manifest.release}, rollback=ROLLBACK)


def at(request: Mapping[str, Any], path: str) -> Any:
    found: Any = request
    for part in path.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize("change", BEFORE)
def test_a_rollback_activates_a_release_by_its_own_rules(change: str, tmp_path: Path) -> None:
    done = back_to(tmp_path, old_release(tmp_path, change))
    _, where, expected = BEFORE[change]
    assert at(done["votes-switch"].request, where) == expected
    assert done["votes-health"].request["probe"]["path"] == done["votes-switch"].request["probe"]["path"]
    (exported,) = (service for service in done.export["services"] if service["key"] == "votes")
    assert exported["health"]["path"] == done["votes-switch"].request["probe"]["path"]


def test_and_by_all_of_them_together(tmp_path: Path) -> None:
    together = ("migration added", "health path changed", "secret added", "persistent path added")
    done = back_to(tmp_path, old_release(tmp_path, *together))
    request = done["votes-switch"].request
    for change in together:
        _, where, expected = BEFORE[change]
        if change != "secret added":
            assert at(request, where) == expected
    assert request["schema"] is None
    told_steps = json.loads((tmp_path / ".mo/sandbox/activations.json").read_text())["services"]["votes"]
    assert told_steps["back"] is True
    assert told_steps["activation"]["health"]["path"] == "/old-health"


def test_a_rollback_that_goes_forward_again_runs_migrations_and_one_that_goes_back_does_not(tmp_path: Path) -> None:
    live = artefact("votes", built_at="2026-01-05T00:00:00Z")
    for built, back in (("2026-01-04T00:00:00Z", True), ("2026-01-06T00:00:00Z", False), ("2026-01-05T00:00:00Z", True)):
        choice = Choice(artefact("votes", content="2", built_at=built))
        wished = Wishes({"votes": choice.release}, {}, {}, from_set=True)
        known = Facts(services={"votes": ServiceFacts(live=live.release, manifest=live)})
        for note, expected in ((RollbackSettings.model_validate(ROLLBACK), back), (None, False)):
            assert activation.rules({"votes": VOTES}, {"votes": choice}, wished, known, tmp_path, note)["votes"].back is expected


def test_a_deploy_says_that_it_does_not_go_back(tmp_path: Path) -> None:
    put(tmp_path, artefact("votes"))
    run(tmp_path, services=FEW)
    assert json.loads((tmp_path / ".mo/sandbox/activations.json").read_text())["services"]["votes"]["back"] is False
    (tmp_path / ".mo/sandbox/activations.json").unlink()
    run(tmp_path, services=FEW, preview=True)
    assert not (tmp_path / ".mo/sandbox/activations.json").exists()


def resolved(choice: Choice, *, dist: bool = True, rollback: bool = False, **facts: Any) -> activation.Rules:
    folder = Path("/p/dist/votes" if dist else f"/p/dist/.store/votes/{choice.release}")
    wished = Wishes({"votes": choice.release}, {"votes": choice.manifest}, {"votes": folder}, from_set=True)
    known = Facts(services={"votes": ServiceFacts.model_validate(facts)})
    note = RollbackSettings.model_validate({**ROLLBACK, "activations": {"votes": RECORDED}}) if rollback else None
    return activation.rules({"votes": VOTES}, {"votes": choice}, wished, known, Path("/p/dist"), note)["votes"]


RECORDED = Activation.of(VOTES.model_copy(update={"health": Health(path="/recorded")}))
BUILT = Activation.of(VOTES.model_copy(update={"health": Health(path="/built")}))


def test_what_was_just_built_has_the_rules_of_its_build_and_anything_else_those_it_was_last_live_by() -> None:
    new = Choice(artefact("votes").model_copy(update={"activation": BUILT}))
    recorded = RECORDED.model_dump(mode="json")
    assert resolved(new, activation=recorded).entry.health.path == "/built"
    assert resolved(new, dist=False, activation=recorded).entry.health.path == "/recorded"
    assert resolved(new, activation=recorded, rollback=True).entry.health.path == "/recorded"
    assert resolved(new, dist=False).entry.health.path == "/built"
    legacy = Choice(artefact("votes"))
    assert resolved(legacy).entry is VOTES
    assert resolved(legacy, dist=False).entry is VOTES
    assert resolved(legacy, dist=False, rollback=True).entry.health.path == "/recorded"


@pytest.mark.parametrize("damaged", ["", 7, [], {}, {"version": 2, "runtime": "php"}, {"runtime": "php", "health": {"path": "no"}}])
def test_a_damaged_record_on_the_host_bars_nothing(damaged: Any) -> None:
    facts = parse(json.dumps({"services": {"votes": {"live": "r" + "0" * 16, "activation": damaged}}}))
    assert facts.of("votes").activation is None


def test_a_secret_that_only_a_newer_release_reads_does_not_stop_a_rollback(tmp_path: Path) -> None:
    manifest = old_release(tmp_path, "secret added")
    assert manifest.activation is not None
    known = activation.rules(
        {"votes": VOTES.model_copy(update={"secrets": ("NEW_SECRET",)})},
        {"votes": Choice(manifest)},
        Wishes({"votes": manifest.release}, {"votes": manifest}, {}, from_set=True),
        Facts(),
        tmp_path / "dist",
        RollbackSettings.model_validate(ROLLBACK),
    )["votes"]
    assert known.needed == ()
    assert known.entry.secrets == ("NEW_SECRET",)


def test_a_release_with_a_link_where_the_site_s_own_files_are_now_keeps_its_link() -> None:
    own = Activation.of(VOTES.model_copy(update={"persistent": ()}))
    today = VOTES.model_copy(update={"persistent": ("uploads", "data/files")})
    assert own.applied_to(today).persistent == ("uploads", "data/files")
    assert own.applied_to(today, ["uploads"]).persistent == ("data/files",)
    assert own.applied_to(today, ["data"]).persistent == ("uploads",)
    nested = Activation.of(VOTES.model_copy(update={"persistent": ("data/files/old",)}))
    assert nested.applied_to(today).persistent == ("data/files/old", "uploads")


def test_links_of_the_manifest_are_looked_at(tmp_path: Path) -> None:
    (persistent,) = CATALOG["crm"].persistent[:1]
    manifest = artefact("crm").model_copy(
        update={
            "links": (Link(path=persistent, target="x"),),
            "activation": Activation.of(CATALOG["crm"].model_copy(update={"persistent": ()})),
        }
    )
    wished = Wishes({"crm": manifest.release}, {}, {}, from_set=True)
    found = activation.rules({"crm": CATALOG["crm"]}, {"crm": Choice(manifest)}, wished, Facts(), tmp_path, None)["crm"]
    assert persistent not in found.entry.persistent


def test_the_step_reads_what_the_program_has_written(tmp_path: Path) -> None:
    release = "r" + "0" * 16
    assert told(str(tmp_path), "votes", release).text == ""
    choice = Choice(artefact("votes"))
    activation.write(tmp_path, {"votes": activation.Rules(VOTES, BUILT, (), back=True)}, {"votes": choice})
    found = told(str(tmp_path), "votes", choice.release)
    assert found.back
    assert Activation.model_validate_json(found.text) == BUILT
    assert "\n" not in found.text
    assert "\t" not in found.text
    other = told(str(tmp_path), "votes", release)
    assert (other.text, other.back) == ("", False)
    assert told(str(tmp_path), "docs", choice.release).text == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "7", '{"version": 2}', '{"version": 1, "services": []}', '{"version": 1, "services": {"votes": {}}}',
        '{"version": 1, "services": {"votes": {"release": "r0000000000000000", "back": "yes", "activation": {}}}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_is_no_list_of_activations_stops_the_step(text: str, tmp_path: Path) -> None:
    (tmp_path / "activations.json").write_text(text)
    with pytest.raises(Failure, match=r"is not a list of activations of version 1 .* delete it"):
        told(str(tmp_path), "votes", "r" + "0" * 16)
