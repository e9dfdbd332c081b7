"""Texts as the CLI prints them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from embedded.cli.text import pretty

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner), max_leaves=30
)


@given(VALUES, st.sampled_from([2, 4]))
def test_json_is_indented_as_pythons_own(value: object, indent: int) -> None:
    assert pretty(value, indent) == json.dumps(value, ensure_ascii=False, indent=indent)
