"""The rules of a release that an earlier version of this tool built: of the state, of the catalogue's history, else said and asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from catalog import reader
from catalog.activation import Activation
from catalog.models import Health
from components.facts import Facts, ServiceFacts
from components.release import ReleaseArgs, stage_request, switch_request
from operations import release_set
from operations.deployment import former_rules
from operations.deployment.here import Here
from operations.problem import Problem
from tests.unit.components.program import artefact, put

VOTES = reader.read().services["votes"]
OLD = artefact("votes", content="o", built_at="2026-03-01T00:00:00Z")
SEEN = Activation.of(VOTES.model_copy(update={"health": Health(path="/seen")}))


def here(root: Path, facts: ServiceFacts | None = None, seen: Activation | None = None) -> Here:
    def told(_releases: object) -> Facts:
        if facts is None:
            raise Problem("The host cannot be asked.")
        return Facts(services={"votes": facts})

    stand_in: Any = SimpleNamespace(root=root, services={"votes": VOTES}, facts=told, rules_seen=lambda *_: seen)
    return cast(Here, stand_in)


def committed(root: Path, path: str, date: str) -> None:
    """A commit of the catalogue whose service votes has its health check at ``path``."""
    file = root / former_rules.CATALOG
    file.parent.mkdir(parents=True, exist_ok=True)
    text = reader.DEFAULT.read_text()
    at = text.index("  votes:")
    file.write_text(text[:at] + text[at:].replace("    stacks:", f"    health: {{path: {path}}}\n    stacks:", 1))
    names = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(root), *words], check=True, env=environment)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "dist/.store/votes" / OLD.release
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(OLD.model_dump_json())
    return tmp_path


def test_a_release_that_says_its_rules_is_not_asked_for(tmp_path: Path) -> None:
    own = put(tmp_path, artefact("votes").model_copy(update={"activation": SEEN}))
    assert former_rules.of(here(tmp_path), {"votes": own.release}) == former_rules.FormerRules({}, ())


def test_nor_is_one_whose_rules_the_host_has_recorded(project: Path) -> None:
    assert former_rules.of(here(project, ServiceFacts(activation=SEEN)), {"votes": OLD.release}).known == {}


def test_what_this_run_has_seen_live_counts_first_and_needs_no_word(project: Path) -> None:
    found = former_rules.of(here(project, ServiceFacts(), SEEN), {"votes": OLD.release})
    assert (found.known, found.notes) == ({"votes": SEEN}, ())
    assert Activation.model_validate(found.to_config()["votes"]) == SEEN


def test_then_the_catalogue_of_the_time_of_its_build(project: Path) -> None:
    committed(project, "/then", "2026-02-01T00:00:00Z")
    committed(project, "/later", "2026-04-01T00:00:00Z")
    found = former_rules.of(here(project, ServiceFacts()), {"votes": OLD.release})
    assert found.known["votes"].health.path == "/then"
    assert "as the catalogue said at its build: health check /then" in found.notes[0]


@pytest.mark.parametrize("facts", [ServiceFacts(), None])
def test_else_it_is_said_what_is_done(project: Path, facts: ServiceFacts | None) -> None:
    found = former_rules.of(here(project, facts), {"votes": OLD.release})
    assert found.known == {}
    assert "as today's catalogue says, which may be wrong for it: health check /" in found.notes[0]
    assert "no migration runs" in found.notes[0]


def test_a_catalogue_that_was_none_or_began_later_tells_nothing(project: Path) -> None:
    committed(project, "/later", "2026-04-01T00:00:00Z")
    assert former_rules.of(here(project, ServiceFacts()), {"votes": OLD.release}).known == {}
    (project / former_rules.CATALOG).write_text("version: 7\n")
    committed_text = {**os.environ, **{f"GIT_{w}_{k}": "t@e.org" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}}
    date = {"GIT_AUTHOR_DATE": "2026-02-20T00:00:00Z", "GIT_COMMITTER_DATE": "2026-02-20T00:00:00Z"}
    subprocess.run(["git", "-C", str(project), "commit", "-qam", "y"], check=True, env={**committed_text, **date})
    assert former_rules.of(here(project, ServiceFacts()), {"votes": OLD.release}).known == {}


def test_the_state_has_the_rules_of_what_is_live() -> None:
    entry = VOTES.model_copy(update={"health": Health(path="/of-the-state")})
    args = ReleaseArgs(
        "s", "h", "votes", entry, cast(Any, SimpleNamespace(release=OLD.release, manifest=OLD)), "e.org", "symlink", "refuse", 5, ()
    )
    import json

    resources = [
        {
            "type": "command:local:Command", "urn": f"a::b::c::votes-{step}", "inputs": {"stdin": json.dumps(request)},
            "outputs": {"stdout": json.dumps({"live": OLD.release})},
        }
        for step, request in (("stage", stage_request(args)), ("switch", switch_request(args)))
    ]  # fmt: skip
    live = release_set.live(resources)
    assert live.entries({"votes": VOTES})["votes"].health.path == "/of-the-state"
    other = [{**one, "outputs": {"stdout": '{"live": "r0000000000000000"}'}} for one in resources]
    assert release_set.live(other).entries({"votes": VOTES})["votes"] is VOTES


def test_a_deploy_says_that_an_artefact_keeps_the_rules_of_its_build(tmp_path: Path) -> None:
    made = artefact("votes").model_copy(update={"activation": SEEN})
    put(tmp_path, made)
    _, words = release_set.deployable(tmp_path, {"votes": VOTES}, None, {})
    assert any("has changed how votes is activated or checked since its build" in word for word in words)
    assert any("bin/mo build votes" in word for word in words)
    for same in (made.model_copy(update={"activation": Activation.of(VOTES)}), made.model_copy(update={"activation": None})):
        put(tmp_path, same)
        assert release_set.deployable(tmp_path, {"votes": VOTES}, None, {})[1] == []
