"""The client's JSON is the standard library's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.remote.client import jsontext

CLIENT = Path(jsontext.__file__).parent.parent

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(VALUES)
def test_what_is_written_is_what_json_writes_and_comes_back(value: Any) -> None:
    text = jsontext.dumps(value, sort_keys=True)
    assert text == json.dumps(value, separators=(",", ":"), sort_keys=True)
    assert jsontext.loads(text) == json.loads(text) == value
    assert jsontext.loads(b" " + text.encode() + b"\n") == value


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a"', '"x', "nul", "1 2", '{"a":1,}', "[", b"\xff", b"\xff\xfe1\x00", "[NaN]"])
def test_what_is_no_json_is_a_value_error_in_a_process_that_has_not_imported_json(text: str | bytes) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\nfrom client import jsontext\n"
        f"try: print('taken', jsontext.loads({text!r}))\nexcept ValueError as error: print('refused', error)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(CLIENT)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused "), done.stdout


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes is not JSON"):
        jsontext.dumps({"a": b""})
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsontext.dumps(float("nan"))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        jsontext.dumps(circle)


def test_a_text_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RecursionError):
        jsontext.loads("[" * 200_000)
