"""``pulumi config`` and its subcommands."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from embedded.cli.context import Context, note, say
from embedded.cli.flags import UsageError
from embedded.cli.text import pretty, table
from embedded.property_path import get_at, parse_path, typed
from embedded.settings import StackSettings, as_recorded, as_text, full_key, has_secure, revealed
from embedded.state.backend import StackName
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StateError

_SUSPICIOUS = re.compile("passwd|pass|password|pwd|secret|token", re.IGNORECASE)


def _open(context: Context) -> tuple[StackName, StackSettings]:
    _ = context.project
    stack = context.stack()
    return stack, context.settings(stack)


def _key(context: Context, text: str) -> tuple[str, list[str | int]]:
    """The full key, and the path below it with ``--path``."""
    if not context.arguments.on("path"):
        return full_key(text, context.project.name), []
    path = parse_path(text)
    return full_key(str(path[0]), context.project.name), path[1:]


def shown(value: Any, crypter: Crypter | None) -> dict[str, Any]:
    """A value as ``config --json`` and the history show it; secrets only with a crypter."""
    secret = has_secure(value)
    if secret and crypter is None:
        return {"secret": True}
    plain = revealed(value, crypter)
    object_value = {"objectValue": as_recorded(plain)} if isinstance(plain, (dict, list)) else {}
    return {"value": as_text(plain)} | object_value | {"secret": secret}


def show(context: Context) -> None:
    """``pulumi config``: every value of the stack."""
    stack, settings = _open(context)
    values = dict(sorted(settings.merged(context.project).items()))
    reveal = context.arguments.on("show-secrets") and any(map(has_secure, values.values()))
    crypter = context.crypter(stack, settings) if reveal else None
    if context.arguments.on("json"):
        say(pretty({key: shown(value, crypter) for key, value in values.items()}))
        return
    prefix = f"{context.project.name}:"
    say(table(["KEY", "VALUE"], [[key.removeprefix(prefix), as_text(revealed(value, crypter))] for key, value in values.items()]))


def get(context: Context) -> None:
    """``pulumi config get``: one value, decrypted."""
    stack, settings = _open(context)
    (name,) = _positional(context, 1)
    key, path = _key(context, name)
    try:
        value = get_at(settings.merged(context.project)[key], path)
    except KeyError:
        raise StateError(f"configuration key '{name}' not found for stack '{stack}'") from None
    crypter = context.crypter(stack, settings) if has_secure(value) else None
    view = shown(value, crypter)
    say(pretty(view) if context.arguments.on("json") else view["value"])


def _positional(context: Context, least: int, most: int | None = None) -> list[str]:
    count = len(context.arguments.positional)
    most = least if most is None else most
    if not least <= count <= most:
        wanted = f"{least} arg(s)" if least == most else f"between {least} and {most} arg(s)"
        raise UsageError(f"accepts {wanted}, received {count}")
    return context.arguments.positional


def set_(context: Context) -> None:
    """``pulumi config set``: one value, from the arguments or standard input."""
    arguments = context.arguments
    names = _positional(context, 1, 2)
    if sum((arguments.on("secret"), arguments.on("plaintext"), bool(arguments.text("type")))) > 1:
        raise UsageError("if any flags in the group [secret plaintext type] are set none of the others can be")
    key, path = _key(context, names[0])
    stack, settings = _open(context)
    if len(names) == 2:
        text = names[1]
    elif not sys.stdin.isatty():
        text = sys.stdin.read()
        text = text if arguments.on("raw") else text.removesuffix("\n").removesuffix("\r")
    elif not context.interactive:
        raise StateError("config value must be specified in non-interactive mode")
    else:
        import getpass

        text = getpass.getpass("value: ") if arguments.on("secret") else input("value: ")
    value: Any
    if arguments.on("secret"):
        value = {"secure": context.crypter(stack, settings).encrypt(text)}
    else:
        kind = arguments.text("type")
        value = _as_type(text, kind) if kind else typed(text) if path else text
        if not arguments.on("plaintext") and _looks_secret(key, text):
            raise StateError(
                f"config value for '{key}' looks like a secret; rerun with --secret to encrypt it, "
                "or --plaintext if you meant to store in plaintext"
            )
    _set(settings, key, value, path)
    settings.save()


def _set(settings: StackSettings, key: str, value: Any, path: list[str | int]) -> None:
    try:
        settings.set(key, value, path)
    except StateError as problem:
        raise StateError(f"could not set config: {key.split(':', 1)[1]}{problem}") from None


def _as_type(text: str, kind: str) -> Any:
    try:
        if kind == "string":
            return text
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        raise StateError(f"could not set config: {text!r} is no {kind}") from None
    raise StateError(f'invalid type "{kind}"; must be one of string, int, bool, or float')


def _looks_secret(key: str, value: str) -> bool:
    """The CLI asks zxcvbn about names such as ``apiToken``; the variety of characters stands in for it here."""
    head = value[:16]
    if not head or not _SUSPICIOUS.search(key.split(":", 1)[1]):
        return False
    pool = sum(
        size for pattern, size in (("[a-z]", 26), ("[A-Z]", 26), (r"\d", 10), (r"[^A-Za-z0-9]", 33)) if re.search(pattern, head)
    )
    entropy = min(math.log2(pool), math.log2(len(set(head)) + 1) + 1.5) * len(head)
    return entropy >= 80 or (entropy >= 40 and entropy / len(head) >= 3)


def set_all(context: Context) -> None:
    """``pulumi config set-all``: several values, written at once."""
    arguments = context.arguments
    stack, settings = _open(context)
    document = arguments.text("json")
    if document is not None and (arguments.many("plaintext") or arguments.many("secret") or arguments.on("path")):
        raise UsageError("the --json option cannot be used with the --plaintext, --secret or --path options")
    changes: list[tuple[str, list[str | int], Any]] = []
    for text in arguments.many("plaintext"):
        key, path, value = _pair(context, text)
        changes.append((key, path, typed(value) if path else value))
    for text in arguments.many("secret"):
        key, path, value = _pair(context, text)
        changes.append((key, path, {"secure": context.crypter(stack, settings).encrypt(value)}))
    if document is not None:
        changes += list(_from_json(context, stack, settings, document))
    # New keys are added in order of name, as the CLI adds them.
    for key, path, value in sorted(changes, key=lambda change: change[0]):
        _set(settings, key, value, path)
    settings.save()


def _pair(context: Context, text: str) -> tuple[str, list[str | int], str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise StateError(f"config value must be in the form [key]=[value]: {text.split('=', maxsplit=1)[0]!r} has no '='")
    key, path = _key(context, name)
    return key, path, value


def _from_json(
    context: Context, stack: StackName, settings: StackSettings, text: str
) -> Iterable[tuple[str, list[str | int], Any]]:
    try:
        document = json.loads(text)
        for name, entry in document.items():
            value = entry.get("objectValue", entry.get("value"))
            if value is None:
                raise StateError(f"--json: {name!r} has no value")
            if entry.get("secret"):
                value = {"secure": context.crypter(stack, settings).encrypt(as_text(value))}
            yield full_key(name, context.project.name), [], value
    except (ValueError, AttributeError):
        raise StateError("could not parse --json argument: expected what `pulumi config --json` prints") from None


def rm(context: Context) -> None:
    """``pulumi config rm``: removes one value."""
    _positional(context, 1)
    rm_all(context)


def rm_all(context: Context) -> None:
    """``pulumi config rm-all``: removes several values."""
    _, settings = _open(context)
    for name in context.arguments.positional:
        settings.remove(*_key(context, name))
    settings.save()


def cp(context: Context) -> None:
    """``pulumi config cp``: copies one value, or all, to another stack; secrets are encrypted for that one."""
    stack, settings = _open(context)
    destination = context.arguments.text("dest")
    if not destination:
        raise StateError('required flag(s) "dest" not set')
    target_stack = context.stack(destination)
    if target_stack == stack:
        raise StateError("current stack and destination stack are the same")
    copy_config(context, stack, settings, target_stack, context.arguments.positional)


def copy_config(context: Context, stack: StackName, settings: StackSettings, target_stack: StackName, names: list[str]) -> None:
    """Copies the values of ``names`` (all where it is empty) into the settings of ``target_stack``."""
    target = StackSettings.load(context.project.settings_path(target_stack.name))
    keys = [_key(context, name) for name in names] or [(key, []) for key in sorted(settings.config)]
    for key, path in keys:
        try:
            value = get_at(settings.config[key], path)
        except KeyError:
            raise StateError(f"configuration key '{key.split(':', 1)[1]}' not found for stack '{stack}'") from None
        if has_secure(value):
            encrypt = context.crypter(target_stack, target).encrypt
            value = revealed(value, context.crypter(stack, settings), lambda text: {"secure": encrypt(text)})  # noqa: B023
        target.set(key, value, path)
    target.save()


def refresh(context: Context) -> None:
    """``pulumi config refresh``: the settings of the last operation."""
    stack, settings = _open(context)
    latest = next(context.backend.history(stack), None)
    if latest is None:
        raise StateError("getting latest configuration: no previous deployment")
    wanted = stored(latest)
    present = {key: as_recorded(value) for key, value in settings.merged(context.project).items()}
    if present != wanted and settings.config and not context.arguments.on("force"):
        raise StateError(f"config file '{Path(settings.path)}' has been modified. Use --force to overwrite it")
    for key in [key for key in settings.config if key not in wanted]:
        settings.remove(key)
    for key, value in wanted.items():
        if key not in present or present[key] != value:
            settings.set(key, value)
    settings.save()
    say(f"refreshed configuration for stack '{stack}'")


def stored(update: dict[str, Any]) -> dict[str, Any]:
    """The values of a history entry in the form of the settings file."""
    config = update.get("config")
    return {str(key): _former(value) for key, value in config.items()} if isinstance(config, dict) else {}


def _former(value: Any) -> Any:
    """An object out of the form that this engine gave it until November 2026."""
    if isinstance(value, dict) and value.keys() == {"object"} and isinstance(value["object"], str):
        with contextlib.suppress(ValueError):
            return json.loads(value["object"])
    return value


def env_ls(context: Context) -> None:
    """``pulumi config env ls``: file backends have no environments."""
    if context.arguments.positional:
        raise NotSupportedError("Pulumi ESC")
    raise StateError(
        f"backend {os.uname().nodename} does not support environments; Pulumi ESC environments require the Pulumi Cloud backend, "
        "use `pulumi login` without arguments to log into the Pulumi Cloud backend"
    )


__all__ = ["copy_config", "note", "shown"]
