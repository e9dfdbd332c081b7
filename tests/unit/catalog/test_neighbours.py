"""A service that two stacks deploy is refused where they would share its place or its database, and allowed where each has its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog import neighbours, reader
from catalog.settings_file import SettingsError
from operations import project as operators
from operations.problem import Problem
from tests.unit.components import program

ROOT = Path(__file__).resolve().parents[3]
HOST = {"address": "web.example", "user": "u", "root": "/srv"}
SERVERS = {"external-mariadb": {"engine": "mariadb", "host": "db.example", "port": 3306, "reach": "direct"}}
OTHER_SERVERS = {"external-mariadb": {**SERVERS["external-mariadb"], "host": "db-staging.example"}}


def _project(folder: Path, **stacks: dict[str, Any]) -> Path:
    for stack, settings in stacks.items():
        text = {"config": {f"mo:{key}": value for key, value in settings.items()}}
        (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    return folder


def _stacks(tmp_path: Path, production: dict[str, Any], staging: dict[str, Any]) -> Path:
    return _project(tmp_path, production=production, staging=staging, sandbox={"settingsFile": ".sandbox/settings.yaml"})


def _check(project: Path, stack: str = "staging") -> None:
    neighbours.refuse_shared(project, stack, reader.read(), neighbours.settings_of(project, stack))


def _said(project: Path, stack: str = "staging") -> str:
    with pytest.raises(SettingsError) as caught:
        _check(project, stack)
    return str(caught.value)


def test_a_production_service_added_to_staging_as_shipped_is_refused_with_what_both_share(tmp_path: Path) -> None:
    for stack in ("production", "staging", "sandbox"):
        config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
        config["config"] |= {"mo:services": ["crm"]} if stack == "staging" else {}
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    lines = (tmp_path / "Pulumi.staging.yaml").read_text().splitlines()
    line = lines.index("- crm" if "- crm" in lines else "  - crm") + 1
    said = _said(tmp_path)
    assert said.startswith(
        f"Pulumi.staging.yaml:{line}: service crm is deployed by the stack production too, at the same place "
        "(dmpl20230054.kasserver.com:/www/htdocs/w01234567/subdomains/crm/httpdocs) and in the same database (mo_crm on external-mariadb, "
    )
    assert said.endswith(
        "give staging a root and database servers of its own (mo:host, mo:servers), or take crm out of mo:services (of staging)."
    )
    _check(tmp_path, "production")  # whose service it is


def test_a_place_or_a_database_alone_is_refused_too(tmp_path: Path) -> None:
    staging: dict[str, Any] = {"host": {**HOST, "root": "/srv/"}, "servers": OTHER_SERVERS, "services": ["crm"]}
    project = _stacks(tmp_path, {"host": HOST, "servers": SERVERS}, staging)
    assert "at the same place (web.example:/srv/subdomains/crm/httpdocs), and the one" in _said(project)
    staging |= {"host": {**HOST, "root": "/stg"}, "servers": SERVERS}
    assert "too, in the same database (mo_crm on external-mariadb, db.example:3306), and" in _said(
        _stacks(tmp_path, {"host": HOST, "servers": SERVERS}, staging)
    )
    with pytest.raises(Problem, match="service crm is deployed by the stack production too"):
        operators.services_of("staging", operators.stack_file("staging", tmp_path))


def test_a_server_on_the_host_itself_is_another_one_on_another_host(tmp_path: Path) -> None:
    servers = {"plesk": {"engine": "mariadb", "host": "localhost", "port": 3306, "reach": "host"}}
    other = {**HOST, "address": "web2.example"}
    _check(_stacks(tmp_path, {"host": HOST, "servers": servers}, {"host": other, "servers": servers, "services": ["votes"]}))
    other = {**HOST, "root": "/stg"}
    said = _said(_stacks(tmp_path, {"host": HOST, "servers": servers}, {"host": other, "servers": servers, "services": ["votes"]}))
    assert "in the same database (mo_votes on plesk, localhost:3306)" in said


def test_a_root_and_servers_of_its_own_are_allowed(tmp_path: Path) -> None:
    staging = {"host": {**HOST, "root": "/stg"}, "servers": OTHER_SERVERS, "services": ["crm", "main"]}
    _check(_stacks(tmp_path, {"host": HOST, "servers": SERVERS}, staging))


def test_what_the_other_stack_does_not_tell_counts_as_shared(tmp_path: Path) -> None:
    staging = {"host": HOST, "servers": SERVERS, "services": ["crm"]}
    hidden = {"host": {"secure": "v1:…"}, "servers": OTHER_SERVERS}
    assert "at the same place" in _said(_stacks(tmp_path, hidden, staging))
    (tmp_path / "Pulumi.production.yaml").unlink()
    assert "whose settings are not here to compare with (Pulumi.production.yaml)" in _said(tmp_path)


def test_two_stacks_that_add_one_service_are_refused_both(tmp_path: Path) -> None:
    both = {"host": HOST, "servers": SERVERS, "services": ["crm"]}
    other = {"host": {**HOST, "root": "/prod"}, "servers": OTHER_SERVERS}
    project = _project(_stacks(tmp_path, other, both), preview=both)
    assert "deployed by the stack preview too" in _said(project)
    assert "deployed by the stack staging too" in _said(project, "preview")


def test_a_service_that_the_catalogue_gives_two_stacks_is_refused_at_the_same_place(tmp_path: Path) -> None:
    catalog = reader.read()
    crm = catalog.services["crm"].model_copy(update={"stacks": ("production", "staging")})
    shared = catalog.model_copy(update={"services": {**catalog.services, "crm": crm}})
    same = {"host": HOST, "servers": SERVERS}
    project = _stacks(tmp_path, same, same)
    for stack in ("production", "staging"):
        with pytest.raises(SettingsError, match=r"take crm out of the catalogue's stacks"):
            neighbours.refuse_shared(project, stack, shared, same)
    _check(project, "sandbox")


def test_the_program_refuses_before_anything_is_written(tmp_path: Path) -> None:
    _project(tmp_path, production={"host": program.RAW["host"]})
    with pytest.raises(SettingsError, match="service votes is deployed by the stack production too"):
        program.run(tmp_path, services=frozenset({"votes"}))
    assert not (tmp_path / ".mo").exists()
