"""Random resources: their shape in the state, their rules, what is secret."""

from __future__ import annotations

import string
from typing import Any

import bcrypt
import pytest

from embedded.providers import UnknownPackage, load
from embedded.providers.base import Provider, ProviderError, Resource
from embedded.values import UNKNOWN, Secret

NULL = Secret({"replace": {"raw": None}})
PASSWORD = "random:index/randomPassword:RandomPassword"


@pytest.fixture(scope="module")
def random() -> Provider:
    return load("random", "4.21.4", "/", lambda *arguments, **options: None)


def resource(kind: str, identity: str = "") -> Resource:
    return Resource(f"urn:pulumi:dev::p::{kind}::it", kind, identity)


def create(random: Provider, kind: str, **inputs: Any) -> tuple[str, dict[str, Any]]:
    checked, failures = random.check(resource(kind), {}, inputs, b"seed")
    assert not failures
    assert checked == inputs
    return random.create(resource(kind), checked, preview=False, timeout=0)


def test_a_password_is_secret_hashed_and_of_the_wanted_kinds(random: Provider) -> None:
    identity, outputs = create(random, PASSWORD, length=20, special=False, minUpper=5, minNumeric=5, keepers={"a": "b"})
    result = outputs["result"].value
    assert identity == outputs["id"] == "none"
    assert len(result) == 20
    assert set(result) <= set(string.ascii_letters + string.digits)
    assert sum(char.isupper() for char in result) >= 5
    assert sum(char.isdigit() for char in result) >= 5
    assert bcrypt.checkpw(result.encode(), outputs["bcryptHash"].value.encode())
    assert outputs["bcryptHash"].value.startswith("$2a$10$")
    assert outputs["__pulumi_raw_state_delta"] == {"obj": {"ps": {"keepers": {"map": {}}, "overrideSpecial": NULL}}}
    assert outputs["__meta"] == '{"schema_version":"3"}'
    assert "RandomPassword" not in result


def test_a_password_longer_than_bcrypt_knows_is_hashed_by_its_first_72_bytes(random: Provider) -> None:
    _, outputs = create(random, PASSWORD, length=100)
    assert bcrypt.checkpw(outputs["result"].value.encode()[:72], outputs["bcryptHash"].value.encode())


def test_the_special_characters_can_be_given(random: Provider) -> None:
    _, outputs = create(random, PASSWORD, length=30, upper=False, lower=False, numeric=False, overrideSpecial="+-")
    assert set(outputs["result"].value) <= {"+", "-"}
    assert outputs["number"] is outputs["numeric"] is False


def test_two_runs_differ(random: Provider) -> None:
    assert create(random, PASSWORD, length=16)[1]["result"] != create(random, PASSWORD, length=16)[1]["result"]


def test_pet_id_and_integer_have_their_ids(random: Provider) -> None:
    identity, outputs = create(random, "random:index/randomPet:RandomPet", length=3, prefix="zoo", separator="_")
    assert identity == outputs["id"]
    assert len(identity.split("_")) == 4
    assert identity.startswith("zoo_")
    assert outputs["__pulumi_raw_state_delta"] == {"obj": {"ps": {"keepers": NULL}}}
    identity, outputs = create(random, "random:index/randomId:RandomId", byteLength=4, prefix="p-")
    assert outputs["hex"] == "p-" + bytes.fromhex(outputs["hex"][2:]).hex()
    assert outputs["dec"] == f"p-{int(outputs['hex'][2:], 16)}"
    assert outputs["b64Url"] == "p-" + identity
    identity, outputs = create(random, "random:index/randomInteger:RandomInteger", min=3, max=3)
    assert (identity, outputs["result"]) == ("3", 3)


def test_a_preview_knows_what_is_not_random(random: Provider) -> None:
    identity, outputs = random.create(resource(PASSWORD), {"length": 8, "keepers": {"k": UNKNOWN}}, preview=True, timeout=0)
    assert identity == ""
    assert outputs["result"] == outputs["bcryptHash"] == outputs["id"] == UNKNOWN
    assert outputs["lower"] is True
    assert outputs["keepers"] == {"k": UNKNOWN}


def test_any_change_replaces_and_a_default_said_is_none(random: Provider) -> None:
    inputs = {"length": 8}
    _, outputs = create(random, PASSWORD, **inputs)
    assert random.diff(resource(PASSWORD), inputs, outputs, {"length": 8, "lower": True, "minLower": 0}, []).changes == "none"
    diff = random.diff(resource(PASSWORD), inputs, outputs, {"length": 9, "keepers": {"a": "b"}}, [])
    assert (diff.changes, diff.replaces, diff.diffs, diff.detailed) == ("some", ["keepers", "length"], ["keepers", "length"], None)
    assert random.diff(resource(PASSWORD), inputs, outputs, {"length": 9}, ["length"]).changes == "none"
    assert random.diff(resource(PASSWORD), inputs, outputs, {"length": UNKNOWN}, []).replaces == ["length"]


def test_an_import_takes_the_value_as_id(random: Provider) -> None:
    found = random.read(resource(PASSWORD, "hunter2-old"), None, None)
    assert found is not None
    identity, inputs, outputs = found
    assert identity == "none"
    assert inputs == {"length": 11, **dict.fromkeys(("lower", "number", "numeric", "special", "upper"), True)}
    assert outputs["result"] == Secret("hunter2-old")
    found = random.read(resource("random:index/randomId:RandomId", "CS53pQ"), None, None)
    assert found is not None
    assert (found[1], found[2]["hex"]) == ({"byteLength": 4}, "092e77a5")


@pytest.mark.parametrize("identity", ["this is no base64 %%", "a", "ä" * 5, "x" * 100_001])
def test_an_id_that_is_none_is_refused(random: Provider, identity: str) -> None:
    with pytest.raises(ProviderError, match="Import Random ID Error"):
        random.read(resource("random:index/randomId:RandomId", identity), None, None)


@pytest.mark.parametrize(
    ("kind", "inputs", "place"),
    [
        (PASSWORD, {}, "length"),
        (PASSWORD, {"length": "12"}, "length"),
        (PASSWORD, {"length": 2.5}, "length"),
        (PASSWORD, {"length": True}, "length"),
        (PASSWORD, {"length": 0}, "length"),
        (PASSWORD, {"length": 3, "minUpper": 4}, "length"),
        (PASSWORD, {"length": 3, "colour": "red"}, "colour"),
        ("random:index/randomInteger:RandomInteger", {"min": 1}, "max"),
    ],
)
def test_wrong_inputs_are_refused(random: Provider, kind: str, inputs: dict[str, Any], place: str) -> None:
    assert [failure.property for failure in random.check(resource(kind), {}, inputs, b"")[1]] == [place]


def test_what_is_not_supported_is_refused_by_name(random: Provider) -> None:
    with pytest.raises(ProviderError, match="RandomBytes is not supported by the embedded engine"):
        random.check(resource("random:index/randomBytes:RandomBytes"), {}, {"length": 3}, b"")
    with pytest.raises(ProviderError, match="seed is not supported by the embedded engine"):
        random.create(
            resource("random:index/randomInteger:RandomInteger"), {"min": 1, "max": 9, "seed": "s"}, preview=False, timeout=0
        )
    with pytest.raises(UnknownPackage, match=r"package 'aws' is not supported by the embedded engine.*Pulumi CLI"):
        load("aws", "7.0.0", "/", lambda *arguments, **options: None)
