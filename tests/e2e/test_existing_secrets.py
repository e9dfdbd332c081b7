"""Secrets that were made by hand before the first deployment are never replaced unasked: named, brought along, and rotated later."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from nacl.public import PublicKey, SealedBox

from tests.e2e.deployment import Deployment, deployment

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

BY_HAND = {"JWT_SECRET": "jwt-by-hand", "SESSION_SECRET": "session-by-hand", "MO_HOOKS_DB_PASS": "hooks-by-hand"}


class GitHub:
    """The environment as a person sets it up on GitHub."""

    def __init__(self, site: Deployment) -> None:
        known = site.sandbox.settings
        self.token = known["secrets"]["githubToken"]
        owner, repository = known["github"]["owner"], known["github"]["repository"]
        self.place = f"{site.sandbox.github.url}repos/{owner}/{repository}/environments/sandbox"

    def ask(self, method: str, path: str = "", body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "User-Agent": "gh", "Accept": "application/vnd.github+json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.place + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def set(self, name: str, value: str) -> None:
        key = self.ask("GET", "/secrets/public-key")
        sealed = SealedBox(PublicKey(base64.b64decode(key["key"]))).encrypt(value.encode())
        self.ask("PUT", f"/secrets/{name}", {"key_id": key["key_id"], "encrypted_value": base64.b64encode(sealed).decode()})


def bring_along(site: Deployment, **existing: str) -> None:
    path = site.sandbox.layout.settings
    known = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**known, "existing": existing}, sort_keys=False))


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.require_few_gates()
        made.build("main")
        github = GitHub(made)
        github.ask("PUT", "", {})
        for name, value in BY_HAND.items():
            github.set(name, value)
        yield made


def test_the_first_update_names_them_and_replaces_none(site: Deployment) -> None:
    said = " ".join(site.up(expect=None).stdout.split())
    assert "The GitHub environment sandbox holds JWT_SECRET, MO_HOOKS_DB_PASS, SESSION_SECRET already" in said
    assert "bin/pulumi config set --stack sandbox --secret --path 'mo:existing.JWT_SECRET'" in said
    assert "gh secret delete JWT_SECRET --repo" in said
    held = site.sandbox.github.secrets()["sandbox"]
    assert {name: held[name] for name in BY_HAND} == BY_HAND
    assert not (site.sandbox.root / ".deploy/hooks/secrets.env").exists()


def test_they_are_brought_along_where_the_owner_gives_them(site: Deployment) -> None:
    GitHub(site).ask("DELETE", "/secrets/SESSION_SECRET")  # a new one is wanted
    bring_along(site, **{name: BY_HAND[name] for name in ("JWT_SECRET", "MO_HOOKS_DB_PASS")})
    site.up()
    hooks = site.secrets_of("hooks")
    assert (hooks["JWT_SECRET"], hooks["DB_PASS"]) == ("jwt-by-hand", "hooks-by-hand")
    held = site.sandbox.github.secrets()["sandbox"]
    assert (held["JWT_SECRET"], held["MO_HOOKS_DB_PASS"]) == ("jwt-by-hand", "hooks-by-hand")
    assert held["SESSION_SECRET"] not in ("session-by-hand", "")
    state = site.run("bin/pulumi", "stack", "export", "--stack", "sandbox").stdout
    assert "by-hand" not in state
    site.up()  # what is there now is ours: nobody asks again
    assert site.secrets_of("hooks") == hooks


def test_a_rotation_makes_a_new_one_which_then_stays(site: Deployment) -> None:
    for name in ("JWT_SECRET", "hooks"):
        site.run("bin/mo", "rotate", name, "--yes", "--stack", "sandbox")
    rotated = site.secrets_of("hooks")
    assert "by-hand" not in rotated["JWT_SECRET"] + rotated["DB_PASS"]
    assert site.sandbox.github.secrets()["sandbox"]["JWT_SECRET"] == rotated["JWT_SECRET"]
    site.up()  # the settings still hold the former values
    assert site.secrets_of("hooks") == rotated
