"""A shared host whose panel makes the databases and gives no administrator: everything works with the accounts that the panel gave."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import Deployment, deployment

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

PANEL = ("votes", "support", "newsletter", "forum")


class Panel:
    """The hoster's panel: it alone is administrator of the server."""

    def __init__(self, site: Deployment) -> None:
        self.site = site

    def ask(self, *statements: str) -> None:
        with closing(self.site.sandbox.mariadb("plesk")) as link, link.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def add_user(self, database: str, user: str, password: str) -> None:
        self.ask(
            f"CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY \"{password}\"",
            f"GRANT ALL PRIVILEGES ON `{database}`.* TO '{user}'@'127.0.0.1'",
        )


def settings(site: Deployment, **existing: str) -> None:
    """What the owner of such an account has: no administrator of the panel's server, and the passwords that it gave."""
    path = site.sandbox.layout.settings
    known: dict[str, Any] = yaml.safe_load(path.read_text())
    known["servers"]["plesk"] = {k: v for k, v in known["servers"]["plesk"].items() if k != "adminUser"} | {"provision": "existing"}
    known["secrets"].pop("pleskAdminPassword", None)
    known["existing"] = {**known.get("existing", {}), **existing}
    path.write_text(yaml.safe_dump(known, sort_keys=False))


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build("votes")
        panel = Panel(made)
        for service in PANEL:
            panel.ask(f"CREATE DATABASE mo_{service} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            panel.add_user(f"mo_{service}", f"svc_{service}", f"panel's-{service}")
        settings(made)
        said = made.up(expect=None).stdout
        assert "--secret --path 'mo:existing.MO_VOTES_DB_PASS'" in said
        settings(made, **{f"MO_{service.upper()}_DB_PASS": f"panel's-{service}" for service in PANEL})
        made.up()
        yield made


def test_the_service_migrates_and_answers_with_the_account_that_the_panel_gave(site: Deployment) -> None:
    assert site.secrets_of("votes")["DB_PASS"] == "panel's-votes"
    assert site.sandbox.get("votes", "/").status == 200
    assert site.sandbox.github.secrets()["sandbox"]["MO_VOTES_DB_PASS"] == "panel's-votes"
    with closing(site.sandbox.mariadb("plesk")) as link, link.cursor() as cursor:
        assert cursor.execute("SELECT version FROM mo_votes.schema_version") > 0
    state = site.run("bin/pulumi", "stack", "export", "--stack", "sandbox").stdout
    assert "votes-env" in state
    assert not re.findall(r"votes-(?:account|revoke|db-password|database)\b", state)
    assert "panel's-" not in state
    assert "no changes" in site.preview() or "unchanged" in site.preview()


def test_snapshots_drift_and_doctor_need_no_administrator(site: Deployment) -> None:
    site.run("bin/mo", "snapshots", "create", "votes", "--stack", "sandbox")
    assert "votes" not in site.run("bin/mo", "drift", "--stack", "sandbox", expect=None).stdout
    said = site.run("bin/mo", "doctor", "--stack", "sandbox", expect=None).stdout
    assert "the hoster's panel administers it" in " ".join(said.split())


def test_a_rotation_tells_the_way_and_the_panel_s_next_user_is_taken_over(site: Deployment) -> None:
    said = " ".join(site.run("bin/mo", "rotate", "votes", "--yes", "--stack", "sandbox", expect=2).stdout.split())
    assert "the hoster's panel's to change" in said
    assert "mo:existing.MO_VOTES_DB_PASS" in said
    panel = Panel(site)
    panel.add_user("mo_votes", "w01_votes", "next-one")
    settings(site, MO_VOTES_DB_USER="w01_votes", MO_VOTES_DB_PASS="next-one")
    site.up()
    panel.ask("DROP USER 'svc_votes'@'127.0.0.1'")
    assert site.secrets_of("votes")["DB_USER"] == "w01_votes"
    assert site.sandbox.get("votes", "/").status == 200
