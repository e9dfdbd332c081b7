"""The host records by which rules a release was activated, once it has answered, and tells them for the release that is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.activation import Activation
from catalog.models import Health

from .conftest import Service

pytestmark = pytest.mark.sandbox


def tell(service: Service, release: str, rules: Activation, *, back: bool = False) -> None:
    """What the program writes before the steps run."""
    entry = {"release": release, "back": back, "activation": rules.model_dump(mode="json")}
    (service.remote.state / "activations.json").write_text(json.dumps({"version": 1, "services": {service.key: entry}}))


def told(service: Service, release: str | None) -> Any:
    asked = {
        "service": service.key,
        "target": service.target,
        "release": release,
        "database": None,
        "migrate": None,
        "schema": None,
    }
    return service.remote.run("facts", services=[asked], programs=[])["services"][service.key]["activation"]


def rules(contains: str) -> Activation:
    return Activation(runtime="files", health=Health(path="/ä 'q'" if not contains else "/", contains=contains or None))


def test_rules_are_recorded_once_a_release_answers_and_never_by_one_that_does_not(service: Service) -> None:
    one = service.stage({"index.html": "one"})
    assert told(service, one) is None
    tell(service, one, rules("tab\there '$(id)' \\ ä"))
    service.switch(one)
    assert Activation.model_validate(told(service, one)) == rules("tab\there '$(id)' \\ ä")
    assert told(service, None) == told(service, one), "of the live one where none is asked for"

    two = service.stage({"index.html": "!500"})
    tell(service, two, rules("two"))
    service.remote.refused("switch", **service.request(two))
    assert told(service, two) is None

    # The same release under other rules: kept only where it answers by them.
    tell(service, one, rules("never said"))
    request = service.request(one)
    request["probe"] |= {"contains": "never said", "timeout": 1}
    service.remote.refused("switch", **request)
    assert Activation.model_validate(told(service, one)).health.contains == "tab\there '$(id)' \\ ä"
    tell(service, one, rules("one"))
    service.switch(one)
    assert Activation.model_validate(told(service, one)).health.contains == "one"

    # A client that tells no rules leaves them as they are.
    (service.remote.state / "activations.json").unlink()
    service.switch(one)
    assert Activation.model_validate(told(service, one)).health.contains == "one"


def test_a_damaged_record_tells_nothing_and_goes_with_its_release(service: Service) -> None:
    releases = []
    for n in range(4):
        release = service.stage({"index.html": str(n)})
        tell(service, release, rules(str(n)))
        service.switch(release, keep=2)
        releases.append(release)
    records = {path.name.removesuffix(".activation") for path in (service.base / "releases").glob("*.activation")}
    assert records == set(releases[-2:])
    (service.base / "releases" / f"{releases[-1]}.activation").write_text('{"version": 1, "run')
    assert told(service, releases[-1]) is None
