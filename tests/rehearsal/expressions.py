"""GitHub's expressions (``${{ … }}``), as far as the workflows use them. What is not known here is refused, never guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Contexts = Mapping[str, Any]
"""Context name (``github``, ``inputs``, …) → its value. A context that is not among them is refused."""
Functions = Mapping[str, Callable[..., Any]]

STATUS = ("success", "always", "failure", "cancelled")
"""The functions that a condition may name instead of the ``success()`` that it has otherwise."""
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>().,\[\]]))"
)
_EMBEDDED = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that this evaluator does not know."""


class Open(dict[str, Any]):
    """A context whose keys nobody lists beforehand: secrets, variables, an event's payload. A key that is missing is ``null`` as on
    GitHub; of any other mapping it is refused, since it is a slip of the pen."""


def evaluate(text: str, contexts: Contexts, functions: Functions | None = None) -> Any:
    """The value of one expression. Raises ``ExpressionError``."""
    parser = _Parser(text, contexts, {"format": _format, **(functions or {})})
    value = parser.either()
    parser.end()
    return value


def interpolate(text: str, contexts: Contexts) -> str:
    """``text`` with its expressions replaced. Raises ``ExpressionError``, also for an expression that never ends."""
    made = _EMBEDDED.sub(lambda found: as_text(evaluate(found[1], contexts)), text)
    if "${{" in _EMBEDDED.sub("", text):
        raise ExpressionError(f"an expression without its end: {text!r}")
    return made


def condition(text: str | bool, contexts: Contexts, functions: Functions) -> bool:
    """Whether a step or job runs. ``functions``: at least those of ``STATUS``. Without one of them ``success()`` is asked too."""
    shown = as_text(text)
    whole = _EMBEDDED.fullmatch(shown.strip())
    inner = whole[1] if whole else shown
    if "${{" in inner:
        raise ExpressionError(f"a condition is one expression: {shown!r}")
    found = truthy(evaluate(inner, contexts, functions))
    named = any(re.search(rf"\b{name}\s*\(", re.sub(r"'(?:[^']|'')*'", "", inner)) for name in STATUS)
    return found if named else found and bool(functions["success"]())


def truthy(value: Any) -> bool:
    """GitHub's truth: ``false``, 0, an empty text and ``null`` are false."""
    return not (value is None or value is False or value == "" or (isinstance(value, int | float) and value == 0))


def as_text(value: Any) -> str:
    """A value as it stands in a text. Raises ``ExpressionError`` for an object, which GitHub would write as the word ``Object``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise ExpressionError("an object or a list stands where a text is expected")


def _format(pattern: Any, *values: Any) -> str:
    text, made, place = as_text(pattern), "", 0
    for found in re.finditer(r"\{\{|\}\}|\{(\d+)\}|[{}]", text):
        made += text[place : found.start()]
        place = found.end()
        if found[0] in ("{{", "}}"):
            made += found[0][0]
        elif found[1] is None or int(found[1]) >= len(values):
            raise ExpressionError(f"format: {found[0]} in {text!r} has no value")
        else:
            made += as_text(values[int(found[1])])
    return made + text[place:]


class _Parser:
    """Recursive descent over the tokens; values are computed at once. As on GitHub, both sides of ``&&`` and ``||`` are looked up."""

    def __init__(self, text: str, contexts: Contexts, functions: Functions) -> None:
        self._text, self._contexts, self._functions = text, contexts, functions
        self._tokens = _tokens(text)
        self._at = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._error(f"{self._tokens[self._at][1]!r} is not expected")

    def either(self) -> Any:
        value = self._both()
        while self._takes("||"):
            other = self._both()
            value = value if truthy(value) else other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._takes("&&"):
            other = self._compared()
            value = other if truthy(value) else value
        return value

    def _compared(self) -> Any:
        value = self._negated()
        while (sign := self._peek()) in ("==", "!=", "<", ">", "<=", ">="):
            self._at += 1
            value = _compare(str(sign), value, self._negated())
        return value

    def _negated(self) -> Any:
        return not truthy(self._negated()) if self._takes("!") else self._value()

    def _value(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if text == "(":
            value = self.either()
            self._wants(")")
            return self._steps(value, "(…)")
        if kind != "name":
            raise self._error(f"{text!r} is not expected")
        if text in _WORDS:
            return _WORDS[text]
        if self._takes("("):
            return self._called(text)
        if text not in self._contexts:
            raise self._error(f"the context {text!r} is not known here")
        return self._steps(self._contexts[text], text)

    def _called(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._takes(")"):
            if arguments:
                self._wants(",")
            arguments.append(self.either())
        if name not in self._functions:
            raise self._error(f"the function {name!r} is not known")
        try:
            return self._functions[name](*arguments)
        except TypeError:
            raise self._error(f"{name} does not take {len(arguments)} values") from None

    def _steps(self, value: Any, shown: str) -> Any:
        while True:
            if self._takes("."):
                kind, key = self._next()
                if kind != "name":
                    raise self._error(f"{key!r} is no name of a property (and * is not known)")
            elif self._takes("["):
                key = as_text(self.either())
                self._wants("]")
            else:
                return value
            value, shown = self._property(value, key, shown), f"{shown}.{key}"

    def _property(self, value: Any, key: str, shown: str) -> Any:
        if value is None:
            return None  # a property of null is null: what an event of another kind does not have
        if not isinstance(value, Mapping):
            raise self._error(f"{shown} is no object, so it has no {key!r}")
        # Names are not case-sensitive.
        for name, found in value.items():
            if name.lower() == key.lower():
                return found
        if isinstance(value, Open):
            return None
        raise self._error(f"{shown} has no {key!r}; it has {', '.join(sorted(value)) or 'nothing'}")

    def _peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _takes(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _wants(self, sign: str) -> None:
        if not self._takes(sign):
            raise self._error(f"{sign!r} is expected")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._error("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _error(self, why: str) -> ExpressionError:
        return ExpressionError(f"{self._text.strip()!r}: {why}")


def _tokens(text: str) -> Sequence[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"{text.strip()!r}: {text[place:].strip()[:20]!r} is no part of an expression")
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


def _compare(sign: str, one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        left: Any = one.lower()
        right: Any = other.lower()
    elif type(one) is type(other) and isinstance(one, Mapping | list):
        raise ExpressionError("objects and lists are not compared here")
    else:
        left, right = (one, other) if one is None and other is None else (_number(one), _number(other))
    if sign in ("==", "!="):
        return bool(left == right) is (sign == "==")
    return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign])


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value) if isinstance(value, str | bool | int | float) else math.nan
    except ValueError:
        return math.nan
