"""A person closes a site and opens it again: visitors see it, everybody is told who and why, and no program's work is disturbed."""

from __future__ import annotations

import http.client
import re
from typing import Any

import pytest

from .conftest import Remote, Service

pytestmark = pytest.mark.sandbox
WHO, WHY = "anna@laptop", "the count is being checked, 'again' \u00fc"


def on(service: Service, **more: object) -> dict[str, Any]:
    request = {
        "service": service.key,
        "action": "on",
        "who": WHO,
        "why": WHY,
        "probe": service.request("r" + "0" * 16)["probe"],
        **more,
    }
    return service.remote.run("maintenance", **request)


def visitor(service: Service) -> int:
    """The status that a visitor gets."""
    link = http.client.HTTPConnection("127.0.0.1", service.site.port, timeout=10)
    link.request("GET", "/", headers={"Host": service.domain})
    status = link.getresponse().status
    link.close()
    return status


def ask(service: Service, action: str) -> dict[str, Any]:
    return service.remote.run("maintenance", service=service.key, action=action)


def facts(service: Service) -> dict[str, Any]:
    entry = {"service": service.key, "target": service.target, "release": None, "database": None, "migrate": None}
    known: dict[str, Any] = service.remote.run("facts", services=[entry], programs=[])["services"][service.key]
    return known


def test_a_site_is_closed_and_opened_and_everybody_is_told_by_whom_since_when_and_why(service: Service) -> None:
    one = service.deploy({"index.html": "one"})["live"]
    assert ask(service, "status")["closed"] is None
    told = on(service)
    since = told["closed"]["since"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)
    assert (told["changed"], told["closed"]) == (True, {"opened_by": None, "since": since, "who": WHO, "why": WHY})
    assert visitor(service) == 503
    again = on(service, who="bert@desktop", why="something else")
    assert (again["changed"], again["closed"]["who"]) == (False, WHO)
    known = facts(service)
    assert (known["maintenance"], known["opened_by"]) == (True, None)
    assert (known["closed_since"], known["closed_who"], known["closed_why"]) == (since, WHO, WHY)
    two = service.stage({"index.html": "two"})
    assert "bin/mo maintenance off votes opens it" in service.remote.refused("switch", **service.request(two))
    assert ask(service, "off") == {"ok": True, "step": "maintenance", "service": "votes", "changed": True, "closed": None}
    assert ask(service, "off")["changed"] is False
    assert visitor(service) == 200
    assert service.live == one


def test_a_site_that_its_web_server_does_not_close_is_not_left_half_closed(service: Service) -> None:
    service.deploy({"index.html": "one"})
    del service.site.services[service.domain]
    request = {"service": "votes", "action": "on", "probe": service.request("r" + "0" * 16)["probe"]}
    sentence = service.remote.refused("maintenance", **request)
    assert "the site cannot be closed" in sentence
    assert "nothing was changed" in sentence
    assert not (service.base / "maintenance").exists()


@pytest.mark.parametrize("action", ["on", "off"])
@pytest.mark.parametrize(("file", "text"), [("maintenance", "switch\n"), ("switching", "j_phase='begun'\n")])
def test_what_a_program_has_closed_or_left_is_for_that_program(service: Service, action: str, file: str, text: str) -> None:
    service.deploy({"index.html": "one"})
    (service.base / file).write_text(text)
    service.remote.own(service.base)
    probe = service.request("r" + "0" * 16)["probe"]
    sentence = service.remote.refused("maintenance", service="votes", action=action, probe=probe)
    assert "nothing was changed" in sentence
    assert "bin/mo drift --mend" in sentence
    assert (service.base / file).read_text() == text


def test_a_service_that_was_never_deployed_has_no_site(remote: Remote) -> None:
    for action in ("on", "off"):
        probe = {"domain": "votes.example", "path": "/", "status": 200}
        assert "nothing of it was ever deployed" in remote.refused("maintenance", service="votes", action=action, probe=probe)
    assert remote.run("maintenance", service="votes", action="status")["closed"] is None


@pytest.mark.parametrize(
    "text", ["", "person\n", "person\n{", "person\n[]\n", 'person\n{"who": 1}\n', "person\n" + "[" * 100_000, "\x1b[2J\n\x00"]
)
def test_a_note_that_is_none_is_a_person_s_all_the_same(service: Service, text: str) -> None:
    service.deploy({"index.html": "one"})
    (service.base / "maintenance").write_text(text)
    closed = ask(service, "status")["closed"]
    assert (closed["opened_by"], closed["who"], closed["why"]) == (None, None, None)
    assert closed["since"]
