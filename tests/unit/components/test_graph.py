"""The program's graph, as the engine sees it: who waits for whom, and what an input may hold."""

from __future__ import annotations

import json
import math
import re
import string
from pathlib import Path
from typing import Any

import pytest

from catalog import reader
from catalog.exports import MonitoringExport
from components.facts import Facts
from tests.unit.components.program import CANARIES, COMMIT, RAW, Run, artefact, put, run

COMMAND = "command:local:Command"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A first deploy of all 22 services."""
    project = tmp_path_factory.mktemp("project")
    for service in reader.read().services:
        put(project, artefact(service))
    return run(project)


def test_the_architecture_names_the_platform_s_children(whole: Run) -> None:
    (platform,) = (r.options.parent for r in whole.resources if r.type == "mo:deploy:QualityGate")
    made = {r.type.removeprefix("mo:deploy:") for r in whole.resources if not r.custom and r.options.parent == platform}
    text = (Path(__file__).parents[3] / "docs/architecture.md").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("`Platform` →"))
    assert set(re.findall(r"`(\w+)`", line)) - {"Platform"} == made


def test_everything_waits_for_the_gate(whole: Run) -> None:
    custom = [r for r in whole.resources if r.custom]
    assert len(custom) > 150
    assert [r.name for r in custom if "gate-seal" not in r.after] == ["gate-seal"]


def test_a_switch_waits_for_everything_of_its_service_and_for_the_services_before_it(whole: Run) -> None:
    assert whole["votes-switch"].after >= {"votes-stage", "votes-env", "votes-account", "votes-database", "idp-switch"}
    assert whole["api-switch"].after >= {"api-stage", "api-env", "api-role", "api-database", "api-grant", "idp-switch"}
    assert "api-switch" in whole["frontend-switch"].after
    assert not {name for name in whole["docs-switch"].after if name not in ("gate-seal", "docs-stage")}


def test_a_former_password_is_revoked_after_the_service_and_github_have_the_new_one(whole: Run) -> None:
    assert whole["votes-revoke"].after >= {"votes-account", "votes-env", "github-mo-votes-db-user", "github-mo-votes-db-pass"}
    assert whole["votes-revoke"].request["hold"] is False
    assert "votes-revoke" not in whole["votes-switch"].after
    # n8n's daemon is somebody else's: what it logs in with goes when its owner says so.
    assert whole["n8n-revoke"].request["hold"] is True
    assert list(whole["n8n-revoke"].options.ignoreChanges) == ["stdin"]


def test_a_database_that_only_the_panel_administers_uses_the_password_that_it_gave(tmp_path: Path) -> None:
    put(tmp_path, artefact("votes"))
    panel = {k: v for k, v in RAW["servers"]["plesk"].items() if k != "adminUser"} | {"provision": "existing"}
    passwords = {f"MO_{name}_DB_PASS": f"canary-{name.lower()}" for name in ("VOTES", "SUPPORT", "NEWSLETTER", "FORUM")}
    settings: dict[str, Any] = {"servers": {**RAW["servers"], "plesk": panel}, "pleskAdminPassword": None}
    done = run(tmp_path, **settings, existing={**passwords, "MO_FORUM_DB_USER": "w01_forum"})
    names = {r.name for r in done.resources}
    for service in ("votes", "support", "newsletter", "forum"):
        assert not names & {f"{service}-{what}" for what in ("db-password", "database", "account", "revoke")}
    for service, user in (("votes", "svc_votes"), ("forum", "w01_forum")):
        variables = done[f"{service}-env"].request["variables"]
        assert (variables["DB_USER"], variables["DB_PASS"]) == (user, f"canary-{service}")
        assert done[f"github-mo-{service}-db-user"].inputs["value"]["value"] == user
        assert done[f"github-mo-{service}-db-pass"].inputs["value"]["value"] == f"canary-{service}"
    assert "votes-env" in done["votes-switch"].after
    clear = json.dumps([_without_secrets(r.inputs) for r in done.resources])
    assert not any(password in clear for password in passwords.values())
    assert "n8n-account" in names  # on a server that is ours to administer


def test_a_server_with_tls_is_verified_by_its_own_authority_or_by_those_that_the_host_trusts(whole: Run, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    servers = {
        **RAW["servers"],
        "external-mariadb": {**RAW["servers"]["external-mariadb"], "tls": True},
        "external-postgresql": {**RAW["servers"]["external-postgresql"], "tls": True, "caFile": "ca.pem"},
    }
    done = run(tmp_path, servers=servers)
    assert [done[f"{key}-env"].request["ca"] for key in ("n8n", "idp", "votes")] == [
        "system",
        "-----BEGIN CERTIFICATE-----\n",
        None,
    ]
    assert whole["n8n-env"].request["ca"] is None


def test_a_value_that_is_there_already_is_used_until_a_rotation(tmp_path: Path) -> None:
    existing = {"JWT_SECRET": "canary-jwt", "MO_HOOKS_DB_PASS": "canary-hooks"}
    for rotate, values in (
        ({}, ("canary-jwt", "canary-hooks")),
        ({"JWT_SECRET": "r1", "hooks": "r2"}, ("canary-generated-secret-jwt-secret", "canary-generated-hooks-db-password")),
    ):
        done = run(tmp_path, existing=existing, rotate=rotate)
        variables = done["hooks-env"].request["variables"]
        assert (variables["JWT_SECRET"], variables["DB_PASS"]) == values
        assert done["hooks-account"].request["password"] == values[1]
        assert done["github-jwt-secret"].inputs["value"]["value"] == values[0]
        clear = json.dumps([_without_secrets(r.inputs) for r in done.resources])
        assert "canary-jwt" not in clear
        assert "canary-hooks" not in clear


def test_no_secret_is_generated_before_github_was_asked_whether_there_is_one(whole: Run, tmp_path: Path) -> None:
    generated = whole.names("random:index/randomPassword:RandomPassword")
    assert len(generated) == 4 + 15
    assert [name for name in generated if "github-found" not in whole[name].after] == []
    found = whole["github-found"]
    assert len(found.request["names"]) == len(generated)
    assert list(found.options.ignoreChanges) == ["stdin"]  # once: from then on they are ours
    names = run(tmp_path, existing={"JWT_SECRET": "canary"})["github-found"].request["names"]
    assert {*found.request["names"]} - {*names} == {"JWT_SECRET"}


def test_a_rotation_makes_its_secret_anew_and_no_other_run_does(whole: Run, tmp_path: Path) -> None:
    rotated = run(tmp_path, rotate={"votes": "r1", "JWT_SECRET": "r2"}, revoke=["n8n"])
    assert rotated["votes-db-password"].inputs["keepers"] == {"rotation": "r1"}
    assert rotated["secret-jwt-secret"].inputs["keepers"] == {"rotation": "r2"}
    assert [list(rotated[name].options.ignoreChanges) for name in ("votes-db-password", "secret-jwt-secret")] == [[], []]
    assert rotated["votes-revoke"].request["rotation"] == "r1"
    assert rotated["n8n-revoke"].request["hold"] is False
    for name in ("votes-db-password", "secret-jwt-secret"):
        assert whole[name].inputs["keepers"] == {"rotation": "0"}
        assert list(whole[name].options.ignoreChanges) == ["keepers"]


def test_independent_services_do_not_wait_for_each_other(whole: Run) -> None:
    for name in ("docs-stage", "forum-stage", "crm-env", "games-account"):
        service = name.split("-", 1)[0]
        assert all(n.startswith((service, "gate-seal", "server-", "github-found")) for n in whole[name].after), name


def test_what_installs_dependencies_is_declared_before_all_but_what_it_waits_for(whole: Run) -> None:
    services = reader.read().services
    declared = [r.name for r in whole.resources if r.type == "mo:deploy:Subdomain"]
    slow = [key for key, service in services.items() if service.steps.dependencies]
    first = {*slow, *(other for key in slow for other in services[key].after)}
    assert len(first) < len(services) / 4
    assert set(declared[: len(first)]) == first
    assert all(declared.index(other) < declared.index(key) for key, service in services.items() for other in service.after)


def test_names_are_the_service_and_what_it_is(whole: Run) -> None:
    assert {r.name for r in whole.resources if r.custom and r.name.startswith("api_stg-")} == {
        "api_stg-db-password",
        "api_stg-database",
        "api_stg-account",
        "api_stg-revoke",
        "api_stg-env",
        "api_stg-stage",
        "api_stg-switch",
        "api_stg-health",
    }
    # The stack's own resource is registered once a process, by whichever test runs first.
    assert {r.type.split(":")[0] for r in whole.resources if not r.custom} - {"pulumi"} == {"mo"}


def test_commands_are_constant_and_hold_no_path_key_date_or_address(whole: Run, tmp_path: Path) -> None:
    for name in whole.names(COMMAND):
        step = whole[name]
        assert set(step.inputs) == {"create", "stdin", "addPreviousOutputInEnv", "logging"}
        assert step.inputs["create"] == f"components/remote/run {name.rsplit('-', 1)[1].replace('seal', 'gate')}"
        text = json.dumps(step.request)
        for forbidden in ("192.0.2.1", "/srv/web", "ssh-ed25519", "2026", COMMIT, str(tmp_path)):
            assert forbidden not in text.replace(COMMIT, "") or name == "gate-seal", (name, forbidden)
        assert COMMIT not in text or name == "gate-seal"


def test_secrets_are_marked_wherever_they_stand(whole: Run) -> None:
    for resource in whole.resources:
        clear = json.dumps(_without_secrets(resource.inputs))
        for canary in (*CANARIES, "canary-generated"):
            assert canary not in clear, f"{resource.name} holds {canary} in clear"
    assert whole["support-env"].request["variables"]["SMTP_PASS"] == "canary-smtp"
    assert whole["votes-env"].request["variables"]["DB_PASS"] == "canary-generated-votes-db-password"


def test_a_service_gets_only_the_secrets_it_needs(whole: Run) -> None:
    assert set(whole["hooks-env"].request["variables"]) == {
        "JWT_SECRET",
        *("DB_ENGINE", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS"),
    }
    assert "docs-env" not in {r.name for r in whole.resources}


def test_github_gets_every_secret_of_the_specification(whole: Run) -> None:
    names = {
        r.inputs["secretName"]
        for r in whole.resources
        if r.type == "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret"
    }
    fixed = {"SSH_HOST", "SSH_PORT", "SSH_USER", "SSH_PRIVATE_KEY", "MYSQL_HOST", "MYSQL_PORT", "PG_HOST", "PG_PORT"}
    fixed |= {"SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASS", "SUPPORT_EMAIL", "CIVIMAIL_FROM", "CIVIMAIL_BOUNCE"}
    fixed |= {"JWT_SECRET", "SESSION_SECRET", "API_KEY_KEYCLOAK", "OAUTH_CLIENT_SECRET"}
    databases = {s.database.name.upper() for s in reader.read().services.values() if s.database}
    assert names == {*fixed, *(f"{d}_DB_USER" for d in databases), *(f"{d}_DB_PASS" for d in databases)}
    assert len(databases) == 15


def test_github_gets_the_addresses_of_all_servers_also_where_no_service_of_the_stack_uses_them(tmp_path: Path) -> None:
    staging = run(tmp_path, services=frozenset({"api_stg", "admin_stg"}))
    values = {
        name: staging[f"github-{name}"].inputs["value"]["value"] for name in ("mysql-host", "mysql-port", "pg-host", "pg-port")
    }
    assert values == {"mysql-host": "192.0.2.2", "mysql-port": "3306", "pg-host": "192.0.2.3", "pg-port": "5432"}
    assert [r.name for r in staging.resources if r.name.startswith("server-")] == ["server-external-mariadb"]
    assert [server["name"] for server in staging.export["servers"]] == ["external-mariadb"]  # the others are not looked at


def test_generated_secrets_have_the_entropy_that_the_specification_asks_for(whole: Run) -> None:
    signs = len(string.ascii_letters + string.digits + "-_")
    for name, size in (("jwt-secret", 64), ("session-secret", 64), ("api-key-keycloak", 32), ("oauth-client-secret", 32)):
        inputs = whole[f"secret-{name}"].inputs
        assert inputs["overrideSpecial"] == "-_"
        assert inputs["length"] * math.log2(signs) >= size * 8


def test_databases_are_utf8_and_survive_their_removal(whole: Run) -> None:
    maria = whole["crm-database"]
    assert maria.inputs["defaultCharacterSet"] == "utf8mb4"
    assert maria.inputs["defaultCollation"] == "utf8mb4_unicode_ci"
    kept = [r for r in whole.resources if r.type.split(":")[0] in ("mysql", "postgresql") and r.custom]
    assert len(kept) == 12 + 3 * 5
    assert [r.name for r in kept if not r.options.retainOnDelete] == []


def test_only_the_owner_may_connect_to_a_postgresql_database(whole: Run) -> None:
    closed, own = whole["idp-closed"].inputs, whole["idp-grant"].inputs
    assert (closed["role"], closed["objectType"], closed["privileges"]) == ("public", "database", [])
    assert (own["role"], own["privileges"]) == ("svc_idp", ["CONNECT", "CREATE", "TEMPORARY"])
    assert "owner" not in whole["idp-database"].inputs


def test_a_postgresql_database_is_dropped_before_the_role_that_has_tables_in_it(whole: Run) -> None:
    assert "api-role" in whole["api-database"].after
    assert "api-database" not in whole["api-role"].after


def test_servers_that_admit_the_host_only_are_reached_through_it(whole: Run) -> None:
    providers = {r.name: r.inputs for r in whole.resources if r.type.startswith("pulumi:providers:")}
    assert providers["server-plesk"]["proxy"] == "socks5://127.0.0.1:1080"
    assert "proxy" not in providers["server-external-mariadb"]
    assert providers["server-external-postgresql"]["superuser"] == "false"


def test_an_existing_database_is_taken_over_and_not_made(tmp_path: Path) -> None:
    plesk = {**RAW["servers"]["plesk"], "provision": "existing"}
    done = run(tmp_path, servers={**RAW["servers"], "plesk": plesk})
    names = {r.name for r in done.resources}
    assert "votes-database" not in names
    assert "server-plesk" not in names
    assert done["votes-account"].request["database"] == "mo_votes"


def test_the_export_is_whole_and_holds_no_secret(whole: Run) -> None:
    exported = MonitoringExport.model_validate(whole.export)
    assert len(exported.services) == 22
    api = next(s for s in exported.services if s.key == "api")
    assert (api.url, api.health.path) == ("https://api.example.org/", "/health")
    assert (api.deployed_at, api.version) == ("2026-01-03T00:00:00Z", "1.4.0")
    idp = next(s for s in exported.services if s.key == "idp")
    assert (idp.files_only, api.files_only) == (True, None)
    assert idp.health.daemon is not None
    assert whole["idp-switch"].request["probe"]["daemon"] == idp.health.daemon.model_dump()
    assert "daemon" not in whole["api-switch"].request["probe"]
    assert whole["api-health"].request["probe"]["version"] == {"path": "/openapi.json", "expect": None}
    assert "version" not in whole["api-switch"].request["probe"]
    assert "version" not in whole["votes-health"].request["probe"]
    assert not any(canary in json.dumps(whole.export) for canary in (*CANARIES, "canary-generated"))


def test_two_runs_give_the_engine_the_same(whole: Run, tmp_path: Path) -> None:
    for service in reader.read().services:
        put(tmp_path, artefact(service))
    again = run(tmp_path)
    inputs, first = ({r.name: r.inputs for r in found.resources if r.type != "pulumi:pulumi:Stack"} for found in (again, whole))
    assert inputs == first


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("4dabf18193072939515e22adb298388d") == "1b47061264138c4ac30d75fd1eb44270":
            return "[secret]"
        return {k: _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("step", ["docs-stage", "docs-switch", "docs-health"])
def test_one_service_s_failure_leaves_the_output_of_all_the_others(tmp_path: Path, step: str) -> None:
    for service in ("docs", "votes"):
        put(tmp_path, artefact(service))
    before = artefact("docs", content="0")
    facts = Facts.model_validate({"services": {"docs": {"live": before.release, "at": "then", "manifest": before.model_dump()}}})
    made = run(tmp_path, facts, services=frozenset({"docs", "votes"}), fails=frozenset({step}))
    told = {entry["key"]: entry for entry in made.export["services"]}
    assert (told["votes"]["failed"], told["votes"]["deployedAt"]) == (False, "2026-01-03T00:00:00Z")
    live = artefact("docs").release if step == "docs-health" else before.release
    at = "2026-01-03T00:00:00Z" if step == "docs-health" else "then"
    assert (told["docs"]["failed"], told["docs"]["release"], told["docs"]["deployedAt"]) == (True, live, at)


def test_a_service_that_was_never_live_and_fails_has_no_release_in_the_output(tmp_path: Path) -> None:
    put(tmp_path, artefact("docs"))
    made = run(tmp_path, services=frozenset({"docs"}), fails=frozenset({"docs-switch"}))
    (told,) = made.export["services"]
    assert (told["failed"], told["release"], told["deployedAt"], told["commit"]) == (True, None, None, None)
