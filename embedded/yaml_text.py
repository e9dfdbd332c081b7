"""YAML as the CLI's library (Go's yaml.v3) reads and writes its plain scalars: a mixture of YAML 1.1 and 1.2 that PyYAML's is not.

Checked against CLI 3.259: ``yes`` and ``22:30`` are texts, ``010`` and ``0o10`` are eight, ``1e21`` is a number, and a date is a text of
Go's ``Time``.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from embedded.state.errors import StateError

_TAG: Final = "tag:yaml.org,2002:"
_DAY, _TIME = r"\d{4}-\d\d?-\d\d?", r"\d\d?:\d\d?:\d\d?(?:\.\d+)?"
_PLAIN: Final = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("timestamp", rf"{_DAY}(?:[Tt]{_TIME}(?:Z|[+-]\d\d:\d\d)| {_TIME})?", list("0123456789")),
    ("int", r"[-+]?(?:0[bB][01_]+|0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
     list("-+.0123456789")),
    ("merge", "<<", ["<"]),
)  # fmt: skip


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads as Go's library does."""


class Dumper(yaml.SafeDumper):
    """Writes as Go's library does."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _PLAIN:
    Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


def _int(loader: Any, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    return int(text, 8 if octal else 0)


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError(f"unsupported value: {text}")
    return value


def _timestamp(loader: Any, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    parts = [int(part) for part in re.findall(r"\d+", text.partition(".")[0])[:6]]
    try:
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return text  # no day of any calendar
    fraction = re.search(r"\.(\d*[1-9])", text)
    zone = re.search(r"([+-]\d\d):(\d\d)$", text) if "T" in text.upper() else None
    offset = f"{zone[1]}{zone[2]} {zone[1]}{zone[2]}" if zone and zone[0] != "+00:00" else "+0000 UTC"
    return f"{moment:%Y-%m-%d %H:%M:%S}{'.' + fraction[1] if fraction else ''} {offset}"


Loader.add_constructor(_TAG + "int", _int)
Loader.add_constructor(_TAG + "float", _float)
Loader.add_constructor(_TAG + "timestamp", _timestamp)


def _is_plain_text(dumper: Any, text: str) -> bool:
    """Whether ``text`` is one without quotation marks, for Go's library and for those of YAML 1.1."""
    ours = Loader.yaml_implicit_resolvers.get(text[:1], [])
    return (
        not any(pattern.match(text) for _, pattern in ours)
        and dumper.resolve(yaml.ScalarNode, text, (True, False)) == _TAG + "str"
        and text not in ("y", "n", "Y", "N")
    )


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text and not re.search(r"[ \t]\n|^\s", text):
        return dumper.represent_scalar(_TAG + "str", text, style="|")
    return dumper.represent_scalar(_TAG + "str", text, style=None if _is_plain_text(dumper, text) else '"')


Dumper.add_representer(str, _represent_text)


def load_yaml(path: Path) -> Any:
    """The document in a YAML file. Raises ``StateError`` naming the file."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (OSError, UnicodeDecodeError) as problem:
        raise StateError(f"could not read {path}: {getattr(problem, 'strerror', None) or 'it is not UTF-8 text'}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise StateError(f"could not read {path}: it is not valid YAML: {' '.join(str(problem).split())[:200]}") from None
