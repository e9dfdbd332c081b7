"""Options as Pulumi's command line takes them: anywhere, ``--name value`` or ``--name=value``, short ones, ``PULUMI_OPTION_<NAME>``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from embedded.state.errors import NotSupportedError, StateError

TRUTHY: Final = frozenset({"1", "t", "true", "yes", "y", "on"})
_BOOL: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


class UsageError(StateError):
    """An argument that the command does not take."""


@dataclass(frozen=True)
class Flag:
    """An option: ``kind`` is ``bool``, ``text``, ``int`` or ``list``; ``bare`` its value where none is given; ``refused``: the CLI's."""

    name: str
    kind: str = "bool"
    short: str = ""
    bare: str | None = None
    refused: bool = False


def flags(*specifications: str) -> dict[str, Flag]:
    """Flags from ``name[,short][:kind][!]``; ``!`` are those that are refused by name."""
    table: dict[str, Flag] = {}
    for text in specifications:
        name, _, kind = text.rstrip("!").partition(":")
        name, _, short = name.partition(",")
        table[name] = Flag(name, kind or "bool", short, "true" if name == "refresh" else None, text.endswith("!"))
    return table


GLOBAL: Final = flags(
    "color:text", "cwd,C:text", "disable-integrity-checking!", "emoji,e", "fully-qualify-stack-names,Q", "help,h", "logflow",
    "logtostderr", "memprofilerate:int!", "non-interactive", "profiling:text!", "tracing:text!", "tracing-header:text!",
    "otel-traces:text!", "verbose,v:int", "stack,s:text", "config-file:text",
)  # fmt: skip


@dataclass
class Arguments:
    """A parsed command line. ``given`` are the flags that were set by options, as the history has them."""

    values: dict[str, Any] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(self.values.get(name))

    def text(self, name: str) -> str | None:
        """An option's value."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def many(self, name: str) -> list[str]:
        """The values of an option that may be repeated."""
        return list(self.values.get(name) or [])


def parse(words: list[str], table: dict[str, Flag], environment: Mapping[str, str]) -> Arguments:
    """Reads ``words`` by ``table``. Raises ``UsageError`` in the CLI's words, ``NotSupportedError`` for what only the CLI does."""
    arguments = Arguments()
    for name, flag in table.items():
        value = environment.get("PULUMI_OPTION_" + name.upper().replace("-", "_"))
        if value is not None:
            for each in next(csv.reader([value]), []) if flag.kind == "list" else [value]:
                _assign(arguments, flag, each)
    from_environment = set(arguments.values)
    arguments.given.clear()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments.positional += rest
            break
        if len(word) < 2 or not word.startswith("-"):
            arguments.positional.append(word)
            continue
        flag, value = _option(word, rest, table)
        if value is None and (flag.kind == "bool" or flag.bare):
            value = flag.bare or "true"
        elif value is None:
            if not rest:
                raise UsageError(f"flag needs an argument: --{flag.name}")
            value = rest.pop(0)
        if flag.name in from_environment:
            # An option replaces what the variable said.
            del arguments.values[flag.name]
            from_environment.discard(flag.name)
        _assign(arguments, flag, value)
    return arguments


def _option(word: str, rest: list[str], table: dict[str, Flag]) -> tuple[Flag, str | None]:
    """The flag that ``word`` is and the value in it; the other letters of short switches written as one go back to ``rest``."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if name not in table:
            raise UsageError(f"unknown flag: --{name}")
        return table[name], value if equals else None
    flag = next((each for each in table.values() if each.short == word[1]), None)
    if flag is None:
        raise UsageError(f"unknown shorthand flag: {word[1]!r} in {word}")
    value = word[2:]
    if value and flag.kind == "bool" and not value.startswith("="):
        rest.insert(0, f"-{value}")
        value = ""
    return flag, value.removeprefix("=") or None


def _assign(arguments: Arguments, flag: Flag, value: str) -> None:
    if flag.kind == "bool":
        if value.lower() not in _BOOL:
            raise UsageError(
                f'invalid argument "{value}" for "--{flag.name}" flag: strconv.ParseBool: parsing "{value}": invalid syntax'
            )
        arguments.values[flag.name] = _BOOL[value.lower()]
    elif flag.kind == "list":
        arguments.values.setdefault(flag.name, []).append(value)
    else:
        if flag.kind == "int" and not value.lstrip("-").isdigit():
            raise UsageError(
                f'invalid argument "{value}" for "--{flag.name}" flag: strconv.ParseInt: parsing "{value}": invalid syntax'
            )
        arguments.values[flag.name] = value
    if flag.refused and arguments.values[flag.name] not in (False, ""):
        raise NotSupportedError(f"--{flag.name}")
    shown = arguments.values[flag.name]
    arguments.given[flag.name] = ("true" if shown else "false") if flag.kind == "bool" else "set"
