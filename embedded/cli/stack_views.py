"""What ``pulumi stack``, ``stack output``, ``stack history`` and ``stack graph`` show."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.cli.configuration import shown, stored
from embedded.cli.context import Context, note, say
from embedded.cli.text import ago, instant, milliseconds, pretty, table
from embedded.model import ResourceState
from embedded.settings import has_secure
from embedded.state.backend import StackName
from embedded.state.checkpoint import Checkpoint, decode_deployment, encode_value
from embedded.state.encryption import Crypter
from embedded.state.errors import StateError
from embedded.state.session import locked_by
from embedded.values import PropertyMap, PropertyValue, Secret

ROOT = "pulumi:pulumi:Stack"


def last_update(checkpoint: Checkpoint) -> datetime | None:
    """When the state was written last."""
    text = (checkpoint.deployment or {}).get("manifest", {}).get("time", "")
    try:
        return instant(text)
    except (ValueError, AttributeError):
        return None


def blind(_: str) -> str:
    """Decrypts nothing: for what shows no secrets."""
    return "null"


def decrypter(context: Context, checkpoint: Checkpoint) -> Callable[[str], str]:
    """Decrypts the secrets of a state."""
    crypter = locked_by(context.unlock, checkpoint)
    return crypter.decrypt if crypter else blind


def _masked(value: PropertyValue) -> PropertyValue:
    """``value`` with every secret as ``[secret]``."""
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _revealed(value: PropertyValue) -> PropertyValue:
    if isinstance(value, Secret):
        return _revealed(value.value)
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list) else value


def _outputs(context: Context, stack: StackName) -> dict[str, Any]:
    checkpoint = context.backend.current(stack)
    reveal = context.arguments.on("show-secrets")
    roots = [r for r in checkpoint.resources if r.get("type") == ROOT and not r.get("delete")]
    if not roots:
        return {}
    decrypt = decrypter(context, checkpoint) if reveal else blind
    outputs: PropertyMap = decode_deployment({"resources": roots[-1:]}, decrypt).resources[0].outputs or {}
    encoded: dict[str, Any] = encode_value(_revealed(outputs) if reveal else _masked(outputs), None)
    return encoded


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _output_table(outputs: dict[str, Any]) -> str:
    if not outputs:
        return "Current stack outputs (0):\n    No output values currently in this stack"
    rows = [[key, _text(value)] for key, value in sorted(outputs.items())]
    return f"Current stack outputs ({len(rows)}):\n" + table(["OUTPUT", "VALUE"], rows, "    ")


def output(context: Context) -> None:
    """The stack's outputs, or one."""
    stack = context.stack()
    outputs = _outputs(context, stack)
    names = context.arguments.positional
    if context.arguments.on("json") and context.arguments.on("shell"):
        raise StateError("only one of --json and --shell may be set")
    if names:
        if names[0] not in outputs:
            raise StateError(f"current stack does not have output property '{names[0]}'")
        value = outputs[names[0]]
        text = pretty(value) if context.arguments.on("json") else _text(value)
        say(f"{names[0]}={_shell(text)}" if context.arguments.on("shell") else text)
    elif context.arguments.on("json"):
        say(pretty(outputs))
    elif context.arguments.on("shell"):
        for key, value in outputs.items():
            say(f"{key}={_shell(_text(value))}")
    else:
        say(_output_table(outputs))


def _shell(text: str) -> str:
    """A word for a shell: backslashes where they do, quotes where there is white space."""
    if not text or re.search(r"\s", text) or "'" in text:
        return shlex.quote(text)
    return re.sub(r"([^\w@%+=:,./}\]-])", r"\\\1", text)


def show(context: Context) -> None:
    """The stack's resources as a tree, and its outputs."""
    stack = context.stack()
    if context.arguments.on("show-name"):
        say(stack.name)
        return
    checkpoint = context.backend.current(stack)
    say(f"Current stack is {stack}:\n    Managed by {os.uname().nodename}")
    updated = last_update(checkpoint)
    if updated and checkpoint.deployment:
        manifest = checkpoint.deployment["manifest"]
        seconds, _, fraction = manifest["time"].rstrip("Z").replace("T", " ").partition(".")
        say(f"    Last updated: {ago(updated)} ({seconds}{'.' if fraction else ''}{fraction.rstrip('0')} +0000 UTC)")
        say(f"    Pulumi version used: {manifest.get('version', '')}")
    say(f"Current stack resources ({len(checkpoint.resources)}):")
    if checkpoint.resources:
        say(_tree(context, decode_deployment({"resources": checkpoint.resources}, blind).resources))
    else:
        say("    No resources currently in this stack")
    say("")
    say(_output_table(_outputs(context, stack)))
    if stack == context.current():
        say("\nUse `pulumi stack select` to change stack; `pulumi stack ls` lists known ones")


def _tree(context: Context, resources: list[ResourceState]) -> str:
    known = {r.urn for r in resources}
    children: dict[str, list[ResourceState]] = {}
    for resource in resources:
        children.setdefault(resource.parent if resource.parent in known else "", []).append(resource)
    root = next((r for r in children.get("", []) if r.type == ROOT), None)
    others = [r for r in children.get("", []) if r is not root]
    rows: list[tuple[str, str, list[str]]] = []

    def details(resource: ResourceState, margin: str) -> list[str]:
        lines = [f"{margin}URN: {resource.urn}"] if context.arguments.on("show-urns") else []
        return lines + ([f"{margin}ID: {resource.id}"] if context.arguments.on("show-ids") and resource.id else [])

    def add(resource: ResourceState, mark: str, margin: str) -> None:
        below = children.get(resource.urn, []) + (others if resource is root else [])
        below = [r for r in below if not r.type.startswith("pulumi:providers:")] + [
            r for r in below if r.type.startswith("pulumi:providers:")
        ]
        rows.append(
            (
                mark + resource.type,
                resource.urn.split("::")[-1],
                details(resource, margin + ("│  " if below else "   ") + ("   " if mark else "")),
            )
        )
        for child in below:
            last = child is below[-1]
            add(child, margin + ("└─ " if last else "├─ "), margin + ("   " if last else "│  "))

    for top in [root] if root else others:
        add(top, "", "")
    width = max(len(row[0]) for row in [("TYPE", "", []), *rows])
    lines = [f"    {'TYPE'.ljust(width)}  NAME"]
    for kind, name, extra in rows:
        lines += [f"    {kind.ljust(width)}  {name}", *(f"    {line}" for line in extra)]
    return "\n".join(lines)


def history(context: Context) -> None:
    """The operations on the stack, newest first."""
    stack = context.stack()
    arguments = context.arguments
    entries = list(context.backend.history(stack))
    size = int(arguments.text("page-size") or 10)
    page = int(arguments.text("page") or 1)
    if size < 1 or page < 1:
        raise StateError("--page and --page-size must be greater than 0")
    entries = entries[(page - 1) * size : page * size]
    crypter = None
    if arguments.on("show-secrets") and any(has_secure(v) for e in entries for v in stored(e).values()):
        crypter = context.crypter(stack, context.settings(stack)) if context.found_project else None
    if arguments.on("json"):
        say(pretty([_history_entry(entry, crypter) for entry in entries]))
    elif not entries:
        say("Stack has never been updated")
    else:
        for entry in entries:
            say(_history_text(entry, arguments.on("full-dates")))


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds or 0), UTC)


def _history_entry(entry: dict[str, Any], crypter: Crypter | None) -> dict[str, Any]:
    config = {key: shown(value, crypter) for key, value in sorted(stored(entry).items())}
    view = {
        "version": entry.get("version", 0),
        "kind": entry.get("kind"),
        "startTime": milliseconds(_moment(entry.get("startTime"))),
    }
    view |= {
        "message": entry.get("message", ""),
        "environment": entry.get("environment", {}),
        "config": config,
        "result": entry.get("result"),
    }
    view["endTime"] = milliseconds(_moment(entry.get("endTime")))
    return view | ({"resourceChanges": entry["resourceChanges"]} if "resourceChanges" in entry else {})


def _history_text(entry: dict[str, Any], full: bool) -> str:
    changes = entry.get("resourceChanges") or {}
    start, end = _moment(entry.get("startTime")), _moment(entry.get("endTime"))
    when = start.strftime("%Y-%m-%dT%H:%M:%SZ") if full else ago(start)
    took = int((end - start).total_seconds())
    replaced = changes.get("replace", 0)
    lines = [f"Version: {entry.get('version', 0)}", f"UpdateKind: {entry.get('kind')}", f"Status: {entry.get('result')}"]
    lines.append(f"Message: {entry.get('message', '')}".rstrip())
    counts = (
        f"+{changes.get('create', 0)}-{changes.get('delete', 0)}~{changes.get('update', 0) + replaced} {changes.get('same', 0)}"
    )
    lines.append(f"{counts} Updated {when} took {took}s")
    lines += [f"    {key}: {value}" for key, value in sorted((entry.get("environment") or {}).items())]
    return "\n".join(lines) + "\n"


def graph(context: Context) -> None:
    """The dependencies of the stack as a DOT file."""
    if len(context.arguments.positional) != 1:
        raise StateError(f"accepts 1 arg(s), received {len(context.arguments.positional)}")
    path = context.arguments.positional[0]
    resources = sorted(context.backend.current(context.stack()).resources, key=lambda r: str(r["urn"]))
    numbers = {resource["urn"]: number for number, resource in enumerate(resources)}
    short = context.arguments.on("short-node-name")
    lines = ["strict digraph {"]
    lines += [f'    Resource{number} [label="{urn.split("::")[-1] if short else urn}"];' for urn, number in numbers.items()]
    for resource in resources:
        number = numbers[resource["urn"]]
        if not context.arguments.on("ignore-dependency-edges"):
            lines += [
                f'    Resource{number} -> Resource{numbers[d]} [color = "#246C60"];'
                for d in resource.get("dependencies", [])
                if d in numbers
            ]
        if not context.arguments.on("ignore-parent-edges") and resource.get("parent") in numbers:
            lines.append(f'    Resource{number} -> Resource{numbers[resource["parent"]]} [color = "#AA6639"];')
    Path(path).write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
    note(f"Wrote stack dependency graph to `{path}`")
