"""A checkpoint survives being read and written: known fields, unknown fields, secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded.model import ResourceState, Snapshot
from embedded.state.checkpoint import Checkpoint, decode_value, encode_value, parse
from embedded.state.errors import StateError
from embedded.values import SIGNATURE_KEY, Archive, Asset, ResourceReference, Secret

URN = "urn:pulumi:dev::p::t:i:T::n"


def _document(**resource: Any) -> dict[str, Any]:
    latest = {
        "manifest": {"time": "2026-01-01T00:00:00Z"},
        "resources": [{"urn": URN, "custom": True, "type": "t:i:T", **resource}],
        "metadata": {},
    }
    return {"version": 3, "checkpoint": {"stack": "organization/p/dev", "latest": latest}}


def _round_trip(document: dict[str, Any]) -> dict[str, Any]:
    checkpoint = parse(json.dumps(document).encode())
    written: dict[str, Any] = json.loads(checkpoint.updated(checkpoint.snapshot(str), None, None).text())
    return written


def test_unknown_fields_of_a_newer_cli_are_kept() -> None:
    document = _document(hideDiff=["x"], futureField={"a": [1]})
    document["checkpoint"]["latest"]["snippets"] = [{"id": "s"}]
    document["extra"] = "kept"
    written = _round_trip(document)
    assert written["checkpoint"]["latest"]["resources"][0]["futureField"] == {"a": [1]}
    assert written["checkpoint"]["latest"]["resources"][0]["hideDiff"] == ["x"]
    assert written["checkpoint"]["latest"]["snippets"] == [{"id": "s"}]
    assert written["extra"] == "kept"


def test_every_field_of_a_resource_survives() -> None:
    fields: dict[str, Any] = {
        "delete": True, "id": "i", "inputs": {"a": 1, "b": [True, None, "x"]}, "outputs": {"c": 2.5}, "parent": URN, "protect": True,
        "external": True, "dependencies": [URN], "initErrors": ["e"], "provider": URN + "::id", "propertyDependencies": {"a": [URN]},
        "pendingReplacement": True, "additionalSecretOutputs": ["c"], "aliases": [URN], "customTimeouts": {"create": 5.0}, "importID": "x",
        "retainOnDelete": True, "deletedWith": URN, "replaceWith": [URN],
        "created": "2026-01-01T00:00:00Z", "modified": "2026-01-02T00:00:00Z",
        "sourcePosition": "project:///a.py#1", "stackTrace": [{"sourcePosition": "x"}], "ignoreChanges": ["a"], "replaceOnChanges": ["b"],
    }  # fmt: skip
    assert _round_trip(_document(**fields))["checkpoint"]["latest"]["resources"][0] == {
        "urn": URN,
        "custom": True,
        "type": "t:i:T",
        **fields,
    }


@pytest.mark.parametrize(
    "value",
    [
        {"deep": [Secret({"a": [1, "x"]}), Secret(None)]},
        Asset({"text": "t", "hash": "h"}),
        Archive({"assets": {"one": Asset({"text": "1", "hash": "h"})}, "hash": "h"}),
        ResourceReference(URN, "id", True, "1.0"),
        Secret(Asset({"text": "t", "hash": "h"})),
    ],
)
def test_values_come_back(value: Any) -> None:
    encoded = encode_value(value, lambda plain: f"<{plain}>")
    assert decode_value(encoded, lambda cipher: cipher[1:-1]) == value


def test_no_plaintext_of_a_secret_is_written() -> None:
    states = Snapshot(
        [ResourceState(URN, "t", True, inputs={"a": Secret({"b": "hush-hush"})}, outputs={"c": [Secret("hush-hush")]})]
    )
    text = Checkpoint("s").updated(states, lambda plain: str(len(plain)), "v1:x").text()
    assert "hush-hush" not in text


def test_numbers_are_written_as_doubles() -> None:
    assert encode_value([3.0, 2**60 + 1, 2.5, True], None) == [3, 1152921504606846976, 2.5, True]
    with pytest.raises(StateError, match="infinite"):
        encode_value(float("nan"), None)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "whole JSON"),
        (json.dumps(_document()).encode()[:-7], "whole JSON"),
        (b"[" * 200_000, "whole JSON"),
        (b"\xff\xfe\x00", "whole JSON"),
        (b"[]", "no Pulumi checkpoint"),
        (b'{"version": 3}', "no Pulumi checkpoint"),
        (b'{"version": 5, "checkpoint": {}}', "newer"),
        (b'{"version": 3, "features": ["views"], "checkpoint": {}}', "features"),
        (b'{"version": 3, "checkpoint": {"stack": "s", "latest": {"resources": "x"}}}', "another type"),
        (b'{"version": 2, "checkpoint": {"stack": "s", "latest": {}}}', "only the Pulumi CLI"),
    ],
)
def test_unusable_state_is_refused(content: bytes, word: str) -> None:
    with pytest.raises(StateError, match=word):
        parse(content)


@pytest.mark.parametrize("resource", [{"urn": 5}, {"inputs": []}, {"dependencies": "x"}, {"protect": "yes"}])
def test_resource_of_another_shape_is_refused(resource: dict[str, Any]) -> None:
    with pytest.raises(StateError):
        parse(json.dumps(_document(**resource)).encode()).snapshot(str)


def test_value_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StateError, match="unknown kind"):
        decode_value({SIGNATURE_KEY: "of the future"}, str)
