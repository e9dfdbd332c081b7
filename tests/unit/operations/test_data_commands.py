"""What ``bin/mo migrate`` and ``bin/mo remove`` refuse, tell and take out of the state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from catalog import reader
from components import facts
from components.facts import Facts
from operations import migrations, project, remote, removal, settings
from operations.app import app, register
from operations.commands.migrate import lines
from operations.problem import Problem
from tests.unit.components.program import artefact, loaded, put

SERVICES = reader.read().services
URN = "urn:pulumi:test::mo-deploy::mo:deploy:Platform$mo:deploy:Subdomain"


@pytest.mark.parametrize("service", ["games", "crm"])
def test_a_tool_without_a_step_back_is_named_with_the_way_out(service: str) -> None:
    with pytest.raises(Problem, match=rf"has no step back.*bin/mo snapshots restore {service} NAME"):
        migrations.refuse_without_way_back(service, SERVICES[service])


def test_a_service_without_migrations_is_named() -> None:
    with pytest.raises(Problem, match="Service docs has no migrations"):
        migrations.declared("docs", SERVICES["docs"])


@pytest.mark.parametrize(
    ("live", "applied", "needed"),
    [
        (("0001_init", "0002_more"), ("0001_init", "0002_more"), True),
        (("0001_init",), ("0001_init", "0002_more"), False),
        (("0001_init",), (), False),
        (None, ("0001_init",), False),
    ],
    ids=["live", "code-is-back", "nothing-applied", "no-release"],
)
def test_nothing_is_taken_back_that_the_live_release_came_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: tuple[str, ...] | None, applied: tuple[str, ...], needed: bool
) -> None:
    manifest = None if live is None else artefact("votes", migrations=live)
    release = manifest.release if manifest else None
    told = Facts.model_validate({"services": {"votes": {"live": release, "manifest": manifest, "applied": applied}}})
    monkeypatch.setattr(facts, "RunFacts", lambda _: lambda _: told)
    known = migrations.look(tmp_path, "sandbox", "host", "votes", SERVICES["votes"])
    assert known.needed_by == (release if needed else None)
    if needed:
        with pytest.raises(Problem, match=rf"{release} came with 0002_more.*rollback --only votes.*--although-needed"):
            migrations.refuse_needed("votes", known, although=False)
    migrations.refuse_needed("votes", known, although=needed)


@pytest.mark.parametrize(
    ("resumes", "told"),
    [(True, "under way: 0002_more; where its run was cut"), (False, "half applied: 0002_more (docs/runbook.md")],
    ids=["cut or running", "failed"],
)
def test_a_migration_that_runs_is_not_called_half_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumes: bool, told: str
) -> None:
    half = {"name": "0002_more", "sha256": "", "resumes": resumes}
    known = Facts.model_validate({"services": {"votes": {"applied": ("0001_init",), "half_applied": half}}})
    monkeypatch.setattr(facts, "RunFacts", lambda _: lambda _: known)
    looked = migrations.look(tmp_path, "sandbox", "host", "votes", SERVICES["votes"])
    (line,) = [line for line in lines("votes", looked) if "0002_more" in line]
    assert told in line


def test_what_the_host_will_refuse_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = put(tmp_path, artefact("votes", migrations=("0001_init", "0002_more")))
    history = [["0001_init", "", "done"], ["0009_elsewhere", "", "done"]]
    known = Facts.model_validate({"services": {"votes": {"database": True, "applied": ("0001_init",), "history": history}}})
    monkeypatch.setattr(facts, "RunFacts", lambda _: lambda _: known)
    looked = migrations.look(tmp_path, "sandbox", "host", "votes", SERVICES["votes"])
    (line,) = [line for line in lines("votes", looked) if line.startswith("  refused")]
    assert line.startswith(f"  refused with {built.release}: ")


def test_a_declared_service_is_removed_only_where_that_is_said() -> None:
    with pytest.raises(Problem, match="votes is still in the catalogue"):
        removal.refuse_declared("votes", although=False)
    assert removal.refuse_declared("votes", although=True) == SERVICES["votes"]
    assert removal.refuse_declared("gone", although=False) is None


@pytest.mark.parametrize("name", ["", "../etc", "A", "a;b", "x" * 40])
def test_a_hostile_name_is_no_service(name: str) -> None:
    with pytest.raises(Problem, match="no name of a service"):
        removal.refuse_declared(name, although=True)


def test_a_service_that_the_state_still_has_is_deployed_away_first() -> None:
    with pytest.raises(Problem, match="deploy once without it"):
        removal.refuse_in_state("votes", "sandbox", [{"urn": f"{URN}::votes-switch"}])
    removal.refuse_in_state("votes", "sandbox", [{"urn": f"{URN}::votes_old-switch"}, {"urn": f"{URN}::forum-switch"}])


def test_a_database_that_the_catalogue_gives_to_another_is_refused() -> None:
    data = ["mariadb", "127.0.0.1", "3306", "mo_forum", "svc_other"]
    with pytest.raises(Problem, match="used by others too: service forum"):
        removal.refuse_shared("other", None, {"data": data})
    removal.refuse_shared("forum", SERVICES["forum"], {"data": [*data[:4], "svc_forum"]})


def test_the_question_names_exactly_what_goes() -> None:
    found = {
        "there": True, "releases": 3, "snapshots": 2, "bytes": 2_500_000, "target": "subdomains/forum/httpdocs", "persistent": 1000,
        "data": ["mariadb", "127.0.0.1", "3306", "mo_forum", "svc_forum"], "server": "plesk", "database": True,
        "accounts": ["svc_forum@localhost"], "keep": "/r/.deploy/.removed/forum-1",
    }  # fmt: skip
    told = list(removal.Removal("forum", "sandbox", found, ("MO_FORUM_DB_USER",)).lines())
    assert told == [
        "  database mo_forum on plesk",
        "  account svc_forum@localhost on plesk",
        "  3 releases, 2 snapshots, secrets and logs: 2.5 MB on the host",
        "  the path subdomains/forum/httpdocs on the host",
        "  GitHub secret MO_FORUM_DB_USER",
        "kept on the host in /r/.deploy/.removed/forum-1: a final dump, tested, with its checksum and the way to restore it, "
        "and 1000 B of the running site (shared/)",
    ]
    assert not removal.Removal("forum", "sandbox", {"there": False, "target": None}, ()).anything


def test_the_state_forgets_a_service_and_what_others_say_of_it() -> None:
    votes, forum, secret = f"{URN}$x::votes-switch", f"{URN}$x::forum-switch", f"{URN}::github-mo-votes-db-pass"
    state: dict[str, Any] = {
        "secrets_providers": {"type": "passphrase"},
        "resources": [
            {"urn": f"{URN}::votes"},
            {"urn": votes},
            {"urn": secret},
            {"urn": forum, "dependencies": [votes, f"{URN}::gate"], "propertyDependencies": {"stdin": [votes]}},
        ],
    }
    urns = removal.resources_of("votes", ("MO_VOTES_DB_PASS",), state["resources"])
    assert urns == [f"{URN}::votes", votes, secret]
    left = removal.forget(json.loads(json.dumps(state)), urns)
    assert left["secrets_providers"] == {"type": "passphrase"}
    assert left["resources"] == [{"urn": forum, "dependencies": [f"{URN}::gate"], "propertyDependencies": {"stdin": []}}]


def test_github_secrets_that_are_there_are_deleted_and_a_refusal_is_a_sentence(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def answer(method: str, url: str, **_: object) -> httpx.Response:
        asked.append((method, url.rsplit("/", 1)[-1]))
        return httpx.Response(404 if url.endswith("_USER") else 403 if url.endswith("_NO") else 204 if method == "DELETE" else 200)

    secrets = removal.GitHubSecrets(loaded(tmp_path), answer)
    assert secrets.present(["X_USER", "X_PASS"]) == ["X_PASS"]
    secrets.delete("X_PASS")
    assert asked[-1] == ("DELETE", "X_PASS")
    with pytest.raises(Problem, match="GitHub answers 403"):
        secrets.delete("X_NO")


@pytest.mark.parametrize("anything", [True, False], ids=["all of it", "only the state is left"])
def test_the_state_forgets_a_removed_service_while_the_lock_keeps_every_update_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anything: bool
) -> None:
    register()
    (tmp_path / "Pulumi.sandbox.yaml").write_text("config:\n  mo:domain: example.org\n")
    asked: list[str] = []

    def host(_root: Path, _stack: str, step: str, request: dict[str, Any], timeout: int = 0) -> dict[str, Any]:
        asked.append(f"{step} {request['action']}")
        if request["action"] == "look":
            told: dict[str, Any] = {
                "there": anything,
                "target": None,
                "accounts": [],
                "data": None,
                "keep": "/keep",
                "persistent": 0,
                "site": 0,
            }
            return {**told, "releases": 1, "snapshots": 0, "bytes": 1}
        return {"done": True, "removed": [], "by_hand": [], "kept_in": "/keep", "dump": None, "verified": None, "notes": []}

    monkeypatch.setattr(project, "ROOT", tmp_path)
    monkeypatch.setattr(project.stack_file, "__defaults__", (tmp_path,))
    monkeypatch.setattr(remote, "run", host)
    monkeypatch.setattr(remote, "connect", lambda _root, _stack: "host")
    monkeypatch.setattr(settings, "load", lambda _root, _stack: loaded(tmp_path))
    monkeypatch.setattr(removal.GitHubSecrets, "present", lambda _self, _names: [])
    monkeypatch.setattr(removal, "refuse_shared", lambda *_: None)
    monkeypatch.setattr(removal, "forget_in_state", lambda *_: asked.append("forget"))
    done = CliRunner().invoke(app, ["remove", "docs", "--stack", "sandbox", "--although-declared", "--yes"])
    assert done.exit_code == 0, done.output
    dropped = ["remove drop"] if anything else []
    assert asked == ["remove look", "lock take", *dropped, "forget", "lock release"]
