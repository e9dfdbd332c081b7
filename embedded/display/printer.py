"""Property values and their differences as text, in the form in which Pulumi shows them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from embedded.display import markup
from embedded.display.changes import Change, Group, Key, compare_values, internal
from embedded.display.operations import operation
from embedded.providers.wording import go_quote
from embedded.values import Archive, Asset, Output, PropertyMap, PropertyValue, ResourceReference, Secret, Unknown

_CONTEXT = 3  # unchanged lines shown around a changed one


def shown(value: PropertyValue, *, outputs: bool = False) -> bool:
    """Whether a value tells anything: nulls, empty strings and empty collections do not."""
    if isinstance(value, Output):
        return outputs
    return not (value is None or value in ("", [], {}) or value == ()) or isinstance(value, (bool, int, float))


def _short(fields: dict[str, Any]) -> str:
    return str(fields.get("hash", ""))[:7]


@dataclass
class Printer:
    """Writes values, indented; ``prefix`` puts the operation's sign before each line."""

    op: str
    indent: int
    prefix: bool = False
    summary: bool = False
    show_secrets: bool = False
    parts: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(self.parts)

    def _as(self, **changes: Any) -> Printer:
        return replace(self, **changes)

    def line(self, text: str, *, prefix: bool | None = None, extra: int = 0) -> None:
        """Writes ``text`` after the indentation of this printer."""
        margin = "    " * (self.indent + extra)
        if (self.prefix if prefix is None else prefix) and margin:
            margin = margin[:-2] + operation(self.op).prefix
        self.parts.append(f"{operation(self.op).color}{margin}{text}{markup.RESET}")

    def write(self, text: str) -> None:
        self.parts.append(f"{operation(self.op).color}{text}{markup.RESET}")

    def title(self, name: Key, align: int) -> None:
        self.line(f"{name:<{align}}: ")

    def object(self, values: PropertyMap) -> None:
        """Each property of ``values`` on a line, those for the bridge left out."""
        align = max((len(key) for key in values), default=0)
        for key in sorted(values):
            if not internal(key):
                self.title(key, align)
                self.value(values[key])

    def value(self, value: PropertyValue) -> None:
        self._value(value)
        self.write("\n")

    def _value(self, value: PropertyValue) -> None:
        if isinstance(value, Secret) and self.show_secrets:
            self._value(value.value)
        elif isinstance(value, list):
            self._array(value)
        elif isinstance(value, dict):
            if not value:
                self.write("{}")
                return
            self.write("{\n")
            self._as(indent=self.indent + 1).object(value)
            self.line("}", prefix=False)
        elif isinstance(value, Asset):
            self._asset(value)
        elif isinstance(value, Archive):
            self._archive(value)
        elif isinstance(value, ResourceReference):
            self.write("{\n")
            inner = self._as(indent=self.indent + 1)
            for name, item in (("URN", value.urn), ("ID", value.id), ("PackageVersion", value.package_version)):
                inner.title(name, 3)
                inner.value(item)
            self.line("}", prefix=False)
        else:
            self.primitive(value)

    def _array(self, value: list[PropertyValue]) -> None:
        if not value:
            self.write("[]")
            return
        self.write("[\n")
        for index, item in enumerate(value):
            self.line(f"    [{index}]: ")
            self._as(indent=self.indent + 1).value(item)
        self.line("]", prefix=False)

    def _asset(self, value: Asset) -> None:
        fields = value.fields
        if "path" in fields or "uri" in fields:
            kind, key = ("file", "path") if "path" in fields else ("uri", "uri")
            self.write(f"asset({kind}:{_short(fields)}) {{ {fields[key]} }}")
        elif "text" in fields:
            self.write(f"asset(text:{_short(fields)}) {{\n")
            self.line("    <contents elided>\n", prefix=False)
            self.line("}", prefix=False)
        else:
            self.write(f"asset(unknown:{_short(fields)}) {{ }}")

    def _archive(self, value: Archive) -> None:
        fields = value.fields
        if "assets" in fields:
            self.write(f"archive(assets:{_short(fields)}) {{\n")
            for name in sorted(fields["assets"] or {}):
                self.line(f'    "{name}": ')
                self._as(indent=self.indent + 1).value(fields["assets"][name])
            self.line("}", prefix=False)
        elif "path" in fields or "uri" in fields:
            kind, key = ("file", "path") if "path" in fields else ("uri", "uri")
            self.write(f"archive({kind}:{_short(fields)}) {{ {fields[key]} }}")
        else:
            self.write(f"archive({_short(fields)}) {{ }}")

    def primitive(self, value: PropertyValue) -> None:
        """A value without members; a string that holds a JSON object or array is opened."""
        if isinstance(value, str):
            decoded = _decoded(value)
            if decoded is not None:
                self.write(f"({decoded[1]}) ")
                self.value(decoded[0])
                return
        self.write(primitive(value))

    def group(self, group: Group, include: Iterable[str] | None = None) -> None:
        """A difference of two objects, property by property."""
        wanted = set(include) if include is not None else None
        keys = [key for key in group.members() if wanted is None or key in wanted]
        align = max((len(str(key)) for key in keys), default=0)
        for key in keys:
            self.member(key, align, group)

    def member(self, key: Key, align: int, group: Group) -> None:
        """One property of a difference."""
        self._member(group, key, lambda printer: printer.title(key, align), self)

    def _member(self, group: Group, key: Key, title: Callable[[Printer], None], same: Printer) -> None:
        if key in group.adds:
            self._sided("create", group.adds[key], title)
        elif key in group.deletes:
            self._sided("delete", group.deletes[key], title)
        elif key in group.updates:
            self._as(op="update", prefix=True).change(title, group.updates[key])
        elif not self.summary and key in group.sames and (isinstance(key, int) or shown(group.sames[key])):
            printer = same._as(op="same", prefix=False)
            title(printer)
            printer.value(group.sames[key])

    def _sided(self, op: str, value: PropertyValue, title: Callable[[Printer], None]) -> None:
        printer = self._as(op=op, prefix=True)
        title(printer)
        printer.value(value)

    def change(self, title: Callable[[Printer], None], change: Change) -> None:
        """A changed value, where it can be told member by member."""
        if self.show_secrets and (isinstance(change.old, Secret) or isinstance(change.new, Secret)):
            inner = compare_values(*(side.value if isinstance(side, Secret) else side for side in (change.old, change.new)))
            if inner is not None:
                self.change(title, inner)
                return
        if change.array is not None:
            title(self)
            self.write("[\n")
            inside = self._as(indent=self.indent + 2)
            for index in change.array.members():
                inside._member(change.array, index, lambda printer, i=index: printer.line(f"[{i}]: ", extra=-1), inside)  # type: ignore[misc]
            self.line("]\n", prefix=False)
        elif change.object is not None:
            title(self)
            self.write("{\n")
            self._as(indent=self.indent + 1).group(change.object)
            self.line("}\n", prefix=False)
        else:
            self._plain_change(title, change.old, change.new)

    def _plain_change(self, title: Callable[[Printer], None], old: PropertyValue, new: PropertyValue) -> None:
        both = shown(old) and shown(new)
        if both and _is_primitive(old) and _is_primitive(new):
            title(self)
            if isinstance(old, str) and isinstance(new, str):
                self._text_change(old, new)
                return
            self._as(op="delete").primitive(old)
            self.write(" => ")
            self._as(op="create").primitive(new)
            self.write("\n")
            return
        if both and type(old) is type(new) and isinstance(old, (Asset, Archive)):
            before, after = _file_words(old), _file_words(new)
            if before and after and before[0] == after[0]:
                title(self)
                self.write(f"{before[0]}:{_arrow(before[1], after[1])}) {{ {_arrow(before[2], after[2])} }}\n")
                return
        if shown(old):
            self._sided("delete", old, title)
        if shown(new):
            self._sided("create", new, title)

    def _text_change(self, old: str, new: str) -> None:
        before, after = _decoded(old), _decoded(new)
        if before and after and before[0] != after[0]:
            self.write(f"({before[1]}) " if before[1] == after[1] else f"({before[1]} => {after[1]}) ")
            change = compare_values(before[0], after[0])
            if change is not None:
                self.change(lambda _: None, change)
            return
        if "\n" not in old and "\n" not in new:
            self._as(op="delete").write(go_quote(old))
            self.write(" => ")
            self._as(op="create").write(go_quote(new) + "\n")
            return
        self._line_change(old, new)

    def _line_change(self, old: str, new: str) -> None:
        self.write("\n")
        inside = self._as(indent=self.indent + 1)
        before, after = old.splitlines(), new.splitlines()
        groups = difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(_CONTEXT)
        for number, opcodes in enumerate(groups):
            if number:
                inside._as(op="same").line("...\n", prefix=False)
            for tag, i1, i2, j1, j2 in opcodes:
                if tag == "equal":
                    for text in before[i1:i2]:
                        inside._as(op="same").line(text + "\n", prefix=False)
                    continue
                for op, lines in (("delete", before[i1:i2]), ("create", after[j1:j2])):
                    for text in lines:
                        inside._as(op=op).line(text + "\n", prefix=True)


def primitive(value: PropertyValue) -> str:
    """A value without members, as text."""
    if isinstance(value, Secret) or (isinstance(value, Output) and value.secret):
        return "[secret]"
    if isinstance(value, Unknown):
        return "[unknown]"
    if isinstance(value, Output):
        return primitive(value.value)
    if value is None:
        return "<null>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return go_quote(value)
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return f"{float(value):.0f}" if isinstance(value, (int, float)) else str(value)


def _is_primitive(value: PropertyValue) -> bool:
    return not isinstance(value, (dict, list, Asset, Archive, ResourceReference))


def _file_words(value: Asset | Archive) -> tuple[str, str, str] | None:
    kind = "asset" if isinstance(value, Asset) else "archive"
    for key, word in (("path", "file"), ("uri", "uri")):
        if key in value.fields:
            return f"{kind}({word}", _short(value.fields), str(value.fields[key])
    return None


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old}->{new}"


def _decoded(text: str) -> tuple[Any, str] | None:
    """The object or array that ``text`` is the JSON (or, over several lines, the YAML) of."""
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, (dict, list)):
            return found, "json"
    if "\n" not in text and "\r" not in text:
        return None
    if ":" not in text and not text.startswith("- "):
        return None
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if isinstance(found, (dict, list)):
        try:
            return json.loads(json.dumps(found, default=str)), "yaml"
        except (TypeError, ValueError):
            return None
    return None
