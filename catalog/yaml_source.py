"""Reads a YAML file that people write: plain data only, small, without aliases, each key once; and remembers the line of every key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

MAX_BYTES = 1_048_576
MAX_DEPTH = 20
MAX_NODES = 50_000

_Loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)

Path_ = tuple[str | int, ...]


class SourceError(ValueError):
    """The file cannot be used; the text is one sentence that names it."""


@dataclass(frozen=True)
class Document:
    """A file's data, and the line (from 1) at which each key or item stands, by its path from the root."""

    file: str
    data: Any
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int:
        """The line of ``path``, or of the nearest place above it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(path: Path, shown: str | None = None) -> Document:
    """The document in ``path``; ``shown`` is how errors name the file. Raises ``SourceError``."""
    name = shown or str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise SourceError(f"{name} is larger than {MAX_BYTES // 1024} KiB; a settings file is never that large.")
    return parse(raw, name)


def parse(raw: bytes, name: str) -> Document:
    """The document in ``raw``. Raises ``SourceError``."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{name}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8.") from None
    try:
        _refuse_tricks(text, name)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SourceError(f"{name}:{mark.line + 1 if mark else 1}: not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", None) or str(error).splitlines()[0]
        raise SourceError(f"{name}: not valid YAML: {reason}.") from None
    if node is None:
        raise SourceError(f"{name} is empty.")
    lines: dict[Path_, int] = {}
    loader = _Loader("")
    try:
        data = _value(node, (), lines, loader, name)
    finally:
        loader.dispose()
    return Document(name, data, lines)


def _refuse_tricks(text: str, name: str) -> None:
    """Refuses aliases, tags, more than one document and deep or huge trees, before anything is built of them."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SourceError(f"{name}:{line}: anchors and aliases are not allowed; write the value out.")
        if tag := getattr(event, "tag", None):
            raise SourceError(f"{name}:{line}: the tag {tag} is not allowed; write plain values.")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise SourceError(f"{name}:{line}: a second document begins here; the file must hold one.")
        nodes += isinstance(event, (yaml.ScalarEvent, *_OPENING))
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > MAX_DEPTH:
            raise SourceError(f"{name}:{line}: nested deeper than {MAX_DEPTH} levels.")
        if nodes > MAX_NODES:
            raise SourceError(f"{name}:{line}: more than {MAX_NODES} values.")


def _value(node: yaml.Node, path: Path_, lines: dict[Path_, int], loader: yaml.SafeLoader, name: str) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, n), lines, loader, name) for n, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise SourceError(f"{name}:{line}: a key must be a word, not a list or mapping.")
            key = str(key_node.value)
            if key in found:
                raise SourceError(f"{name}:{line}: {key} stands here a second time (first in line {lines[(*path, key)]}).")
            lines[(*path, key)] = line
            found[key] = _value(value_node, (*path, key), lines, loader, name)
        return found
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        raise SourceError(f"{name}:{node.start_mark.line + 1}: {str(node.value)[:40]!r} is not a valid value.") from None
