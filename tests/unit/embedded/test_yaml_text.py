"""Settings mean the same to both engines: what CLI 3.259 made of these scalars, and how it wrote these texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded.settings import as_text
from embedded.state.errors import StateError
from embedded.yaml_text import Dumper, Loader, load_yaml

READ = {
    "0b11": "3", "true": "true", "1e21": "1e+21", "1.50": "1.5", "0x1F": "31", "": "", "5": "5", "010": "8", "0o10": "8", "1e-7": "1e-7",
    "22:30": "22:30", "1_000": "1000", "yes": "yes", "2026-11-26": "2026-11-26 00:00:00 +0000 UTC", "08": "8",
    "[1, two, {z: 1, a: 2.0}]": '[1,"two",{"a":2,"z":1}]',
    "{big: 1e21, small: 1e-07, s2: 0.00001, t: 22:30, y: yes, d: 2026-11-26, u: 1_000, o: 010, f: 1.50}":
        '{"big":1e+21,"d":"2026-11-26 00:00:00 +0000 UTC","f":1.5,"o":8,"s2":0.00001,"small":1e-7,"t":"22:30","u":1000,"y":"yes"}',
}  # fmt: skip
QUOTED = (
    "22:30", "yes", "on", "y", "1e21", "1e-7", "0o10", "010", "2026-11-26", "2026-11-26T10:00:00Z", "1_000", "null", "~", "true", "True",
    "", "0b11", ".5", "+1", "1.", "0x1F", "1.50", ".inf", ".nan", "5", "-5", "1:2:3", "08", "Null", "NO", "0.1e5", "1e5",
    "12e03",
)  # fmt: skip
PLAIN = ("1.2:3", "a#b", "x y", "1-2", "0x", "--", "ÄÖ", "1,5")


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_a_scalar_is_read_as_the_cli_reads_it(text: str, value: str) -> None:
    assert as_text(yaml.load(f"key: {text}\n", Loader=Loader)["key"]) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-26T10:00:00.50Z", "2026-11-26 10:00:00.5 +0000 UTC"),
        ("2026-11-26t1:2:3+01:00", "2026-11-26 01:02:03 +0100 +0100"),
        ("2026-11-26 10:00:00", "2026-11-26 10:00:00 +0000 UTC"),
        ("2026-13-45", "2026-13-45"),
    ],
)
def test_a_time_is_a_text_of_go_s(text: str, value: str) -> None:
    assert yaml.load(f"key: {text}\n", Loader=Loader)["key"] == value


@pytest.mark.parametrize("text", QUOTED + PLAIN)
def test_a_text_is_written_so_that_it_stays_one(text: str) -> None:
    written = yaml.dump({"key": text}, Dumper=Dumper, allow_unicode=True)
    assert yaml.load(written, Loader=Loader) == {"key": text}
    assert written == (f'key: "{text}"\n' if text in QUOTED else f"key: {text}\n")


@pytest.mark.parametrize("text", [".nan", "[1, .inf]"])
def test_what_json_cannot_hold_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(f"config:\n  a:b: {text}\n")
    with pytest.raises(StateError, match=r"Pulumi\.dev\.yaml: it is not valid YAML: unsupported value"):
        load_yaml(path)


@pytest.mark.parametrize("value", [{1: "a", "b": 2}, {9: "x", 10: "y"}])
def test_keys_are_texts_and_in_their_order(value: Any) -> None:
    assert as_text(value) == ('{"1":"a","b":2}' if "b" in value else '{"10":"y","9":"x"}')
