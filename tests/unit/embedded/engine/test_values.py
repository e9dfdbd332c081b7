"""Values on the wire, property paths, URNs and hashes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from embedded.engine import paths, urns
from embedded.engine.assets import Hasher
from embedded.engine.events import Masker
from embedded.engine.monitor import duration
from embedded.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN, Archive, Asset, Output, ResourceReference, Secret
from embedded.wire import WireError, from_struct, number, secret, settle_outputs, to_struct

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), plain | plain.map(secret), max_size=5))
def test_values_come_back_from_the_wire(values: dict[str, Any]) -> None:
    assert from_struct(to_struct(values)) == values


def test_special_values_come_back_from_the_wire() -> None:
    values = {
        "unknown": UNKNOWN,
        "asset": Asset({"text": "x", "hash": "h"}),
        "archive": Archive({"assets": {"a": Asset({"path": "p"})}}),
        "reference": ResourceReference("urn:pulumi:a::b::c::d", "id", True, "1"),
        "output": Output("v", True, ("urn",)),
    }
    assert from_struct(to_struct(values)) == values


def test_a_peer_without_secrets_gets_plain_values() -> None:
    assert from_struct(to_struct({"a": Secret({"b": 1})}, keep_secrets=False)) == {"a": {"b": 1}}
    assert from_struct(to_struct({"__x": 1, "a": {"__y": 1, "b": 2}}, skip_internal=True)) == {"a": {"b": 2}}


@pytest.mark.parametrize(
    ("value", "shown"), [(5.0, "5"), (0.5, "0.5"), (12345678901234567890.0, "12345678901234567000"), (1e21, "1e+21"), (-3.0, "-3")]
)
def test_numbers_are_as_the_real_engine_writes_them(value: float, shown: str) -> None:
    assert repr(number(value)) == shown


def test_numbers_that_are_none_pass() -> None:
    assert math.isinf(number(math.inf))


@pytest.mark.parametrize(
    "fields", [{SIGNATURE_KEY: SECRET_SIGNATURE}, {SIGNATURE_KEY: "what"}, {SIGNATURE_KEY: 7}, {SIGNATURE_KEY: None, "value": 1}]
)
def test_malformed_values_are_refused(fields: dict[str, Any]) -> None:
    struct = Struct()
    struct.update({"a": fields})
    with pytest.raises(WireError):
        from_struct(struct)


def test_outputs_settle_to_values_and_tell_their_dependencies() -> None:
    needed: set[str] = set()
    assert settle_outputs([Output(UNKNOWN, True, ("a",)), {"k": Output(Secret(1), False, ("b",))}], needed) == [
        Secret(UNKNOWN),
        {"k": Secret(1)},
    ]
    assert needed == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "path"),
    [("a.b[0]", ["a", "b", 0]), ('a["b.c"]', ["a", "b.c"]), ("[*].x", ["*", "x"]), ('["a\\"b"]', ['a"b']), ("", [])],
)
def test_paths_are_parsed(text: str, path: paths.Path) -> None:
    assert paths.parse(text) == path


@pytest.mark.parametrize("text", [".a", "a.", "a[", "a[x]", 'a["b', 'a["b"'])
def test_bad_paths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        paths.parse(text)


def test_ignored_paths_take_the_old_value() -> None:
    old = {"a": {"b": 1, "c": 2}, "l": [1, 2], "s": Secret("old")}
    new = {"a": {"b": 9, "d": 4}, "l": [7, 8], "s": "new"}
    assert paths.restore(new, old, ["a.b", "a.d", "l[0]", "s"]) == ({"a": {"b": 1}, "l": [1, 8], "s": Secret("old")}, [])
    assert paths.restore(new, old, ["a"])[0]["a"] == old["a"]
    assert paths.restore(new, old, ["l[*]"])[0]["l"] == [1, 2]
    assert paths.restore({"l": [1]}, old, ["l[*]"])[1] == ["l[*]"]
    assert new["a"] == {"b": 9, "d": 4}


def test_differences_name_each_place() -> None:
    keys, detailed = paths.differences({"a": 1, "b": {"c": [1, 2]}, "gone": 1}, {"a": 1, "b": {"c": [1, 3]}, "x y": 1})
    assert keys == ["b", "gone", "x y"]
    assert {path: change["kind"] for path, change in detailed.items()} == {"b.c[1]": "update", "gone": "delete", '["x y"]': "add"}


def test_true_is_not_one() -> None:
    assert not paths.same({"a": True}, {"a": 1})
    assert paths.same({"a": [1.0]}, {"a": [1]})


def test_globs_stop_at_colons_unless_doubled() -> None:
    urn = urns.make("dev", "p", "x:y:Z", "a:b:C", "na::me")
    assert urn == "urn:pulumi:dev::p::x:y:Z$a:b:C::na::me"
    assert (urns.type_of(urn), urns.name_of(urn)) == ("a:b:C", "na::me")
    assert urns.Patterns(["**na::me"]).matches(urn)
    assert not urns.Patterns(["*na::me"]).matches(urn)
    assert not urns.is_valid("urn:pulumi:short")


def test_archives_have_the_hash_of_the_real_engine() -> None:
    hasher = Hasher("/")
    inner = hasher.complete(Archive({"assets": {"two": Asset({"text": "2"})}}))
    assert inner.fields["hash"] == "f9a61ad66e1e8cbd1e9b6d1231a905f3c63ec336f21fdf6d1b9a9f1fa17e395a"
    outer = hasher.complete(Archive({"assets": {"dir": inner, "one": Asset({"text": "1"})}}))
    assert outer.fields["hash"] == "1f908a246e0b46ee40d86d672abbb50f1c14aac175b37b8fd9b35f87dc733e59"


def test_a_missing_asset_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WireError, match=r"failed to compute asset hash: .*nowhere\.txt"):
        Hasher(str(tmp_path)).complete(Asset({"path": "nowhere.txt"}))


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("20s", 20), ("1.5m", 90), ("300ms", 0.3)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m5", "1h x", "-3s"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse"):
        duration(text)


def test_secrets_are_taken_out_of_texts_line_by_line_too() -> None:
    masker = Masker()
    masker.add_secrets({"key": Secret("-----BEGIN-----\nabcdefgh\n"), "open": "visible text", "short": Secret("yes")})
    assert masker.mask("got abcdefgh and visible text, yes") == "got [secret] and visible text, yes"
