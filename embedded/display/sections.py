"""What is printed once at the end: policies, diagnostics, outputs, the count of resources."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from embedded.display import markup
from embedded.display.changes import compare, internal, without_unknown_resources
from embedded.display.operations import OPERATIONS, READS, prefix
from embedded.display.printer import Printer, shown
from embedded.display.rows import Diagnostic, Row
from embedded.display.steps import ROOT_TYPE, State, Step, decode, name_of, qualified_type, type_of

_LEVELS = ("remediate", "mandatory", "advisory", "disabled")
_SEVERITIES = ("critical", "high", "medium", "low", "")
_INSIDE = "        "


def heading(text: str) -> str:
    return markup.HEADLINE + text + markup.RESET


def displayable(text: str) -> list[str]:
    """The lines of ``text`` without trailing blank ones."""
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not markup.plain_text(lines[-1]).strip():
        lines.pop()
    return lines


def diagnostics(rows: Iterable[Row]) -> list[str]:
    """The section of what was said, grouped by resource; progress messages are not in it."""
    lines: list[str] = []
    for row in rows:
        headed = False
        for messages in _streams(row.diagnostics):
            wrote = False
            for message in messages:
                found = displayable(message)
                if not found:
                    continue
                if not lines:
                    lines.append(heading("Diagnostics:"))
                if not headed:
                    headed = True
                    columns = row.columns()
                    lines.append(f"  {markup.BRIGHT_BLUE}{columns[1]} ({columns[2]}):{markup.RESET}")
                lines += [f"    {line}" for line in found]
                wrote = True
            if wrote:
                lines.append("")
    return lines


def _streams(found: list[Diagnostic]) -> list[list[str]]:
    """Messages by stream; those of a stream other than 0 are pieces of one text."""
    streams: dict[int, list[str]] = {}
    for item in found:
        if not item.ephemeral:
            streams.setdefault(item.stream, []).append(item.message)
    return [texts if stream == 0 else ["".join(texts)] for stream, texts in streams.items()]


def policies(packs: dict[str, str], rows: Iterable[Row]) -> tuple[list[str], bool]:
    """The section on policies, and whether a mandatory one is violated."""
    if not packs:
        return [], False
    local: dict[str, list[str]] = {}
    for name, version in packs.items():
        base, path = _local_pack(name)
        local.setdefault(f"{base}@v{version}", []).extend([path] if path else [])
    violations: dict[str, list[dict[str, Any]]] = {}
    remediations: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        for kind, events in ((violations, row.violations), (remediations, row.remediations)):
            for event in events:
                kind.setdefault(f"{event.get('policyPackName')}@v{event.get('policyPackVersion')}", []).append(event)
    lines = [heading("Policies:")]
    mandatory = False
    for key in sorted({*local, *violations, *remediations}):
        found = violations.get(key, [])
        refused = any(event.get("enforcementLevel") == "mandatory" for event in found)
        mandatory = mandatory or refused
        where = f" (local: {'; '.join(sorted(local[key]))})" if local.get(key) else ""
        lines.append(f"    {'❌' if refused else '⚠️' if found else '✅'} {markup.MAGENTA}{key}{markup.RESET}{where}")
        lines += _remediated(remediations.get(key, []))
        for event in sorted(found, key=_rank):
            lines += policy_violation(event, _INSIDE + "- ", _INSIDE + "  ").rstrip("\n").split("\n")
    return [*lines, ""], mandatory


def _local_pack(name: str) -> tuple[str, str]:
    """Name and path of a pack from a directory, which the engine calls ``name|local|path``."""
    parts = name.split("|")
    return (parts[0], parts[2]) if len(parts) == 3 else (name, "")


def _rank(event: dict[str, Any]) -> tuple[int, int, str, str]:
    level, severity = event.get("enforcementLevel", ""), event.get("severity", "")
    return (
        _LEVELS.index(level) if level in _LEVELS else 99,
        _SEVERITIES.index(severity) if severity in _SEVERITIES else 99,
        event.get("policyName", ""),
        event.get("resourceUrn", ""),
    )


def _remediated(events: list[dict[str, Any]]) -> list[str]:
    names = [event.get("policyName", "") for event in events]
    counted = [(name, names.count(name)) for name in sorted(set(names))]
    mark = f"{_INSIDE}- {markup.MAGENTA}[remediate]  "
    return [f"{mark}{name}{markup.RESET}  ({count} resource{'' if count == 1 else 's'})" for name, count in counted]


def policy_violation(event: dict[str, Any], first: str, others: str) -> str:
    """A violation: its level and policy, then what it says."""
    color = markup.RED if event.get("enforcementLevel") == "mandatory" else markup.YELLOW
    severity = f" [severity: {event['severity']}]" if event.get("severity") else ""
    urn = event.get("resourceUrn", "")
    where = f"  ({type_of(urn)}: {name_of(urn)})" if urn else ""
    line = f"{color}[{event.get('enforcementLevel')}]{severity}  {event.get('policyName')}{markup.RESET}{where}"
    if not first:
        line = f"    {_pack(event)}{line}"
    message = str(event.get("message", "")).removesuffix("\n").replace("\n", "\n" + others)
    between = "\n" + others if others else ""
    return f"{first}{line}{between}{message}\n"


def _pack(event: dict[str, Any]) -> str:
    return f"{markup.MAGENTA}{event.get('policyPackName')}@v{event.get('policyPackVersion')} {markup.RESET}"


def policy_remediation(event: dict[str, Any]) -> str:
    """What a remediation changed, for the view of differences."""
    before, after = decode(event.get("before") or {}), decode(event.get("after") or {})
    group = compare(before, after, hide_internal=False)
    if group is None:
        return ""
    urn = event.get("resourceUrn", "")
    printer = Printer("update", 2, prefix=True, summary=True)
    printer.group(group)
    where = f"  ({type_of(urn)}: {name_of(urn)})" if urn else ""
    return f"    {_pack(event)}{markup.MAGENTA}[remediate]  {event.get('policyName')}{markup.RESET}{where}\n{printer.text()}\n"


def outputs(
    step: Step, indent: int, *, preview: bool, refresh: bool = False, show_same: bool = False, show_secrets: bool = False
) -> str:
    """A resource's outputs: those that differ from the old ones, or from the inputs. The stack's are all shown once it is deployed."""
    root = qualified_type(step.urn) == ROOT_TYPE
    show_same = show_same or (not preview and root)
    if preview and not (root or refresh or step.op in ("read", "read-replacement", "import", "import-replacement")):
        return ""
    if step.old is not None and step.old.init_errors:
        return ""
    new = step.new or State()
    given = new.inputs if new.outputs else {}
    group = None
    if step.old is not None:
        group = compare(step.old.outputs, new.outputs, secrets=show_secrets)
        if preview and root:
            without_unknown_resources(group)
        if group is None and not show_same:
            return ""
    printer = Printer(step.op, indent, show_secrets=show_secrets)
    keys = sorted(new.outputs) if group is None else [str(key) for key in group.members()]
    align = max(map(len, keys), default=0)
    for key in keys:
        value = new.outputs.get(key)
        if group is None and (internal(key) or not shown(value, outputs=True)):
            continue
        if key in given and not refresh and given[key] == value:
            continue
        if group is None:
            printer.title(key, align)
            printer.value(value)
        elif show_same or key not in group.sames:
            printer.member(key, align, group)
    return printer.text()


def summary(event: dict[str, Any], errored: int, *, packs: bool) -> str:
    """How many resources were changed, and how long it took."""
    changes: dict[str, int] = event.get("resourceChanges") or {}
    preview = bool(event.get("isPreview"))
    lines = [heading("Resources:")]
    counted = [(name, changes[name]) for name in OPERATIONS if name != "same" and name not in READS and changes.get(name, 0) > 0]
    for name, count in counted:
        word = f"to {name}" if preview else OPERATIONS[name].past
        lines.append(f"    {prefix(name, True)}{count} {word}{markup.RESET}")
    pieces = []
    if len(counted) >= 2:
        total = sum(count for _, count in counted)
        pieces.append(f"{markup.BOLD}{total} change{'' if total == 1 else 's'}{markup.RESET}")
    if changes.get("same"):
        pieces.append(f"{changes['same']} unchanged")
    if pieces:
        lines.append("    " + ". ".join(pieces))
    if errored:
        lines.append(f"    {markup.RED}{errored} errored{markup.RESET}")
    loaded: dict[str, str] = event.get("PolicyPacks") or {}
    if packs and loaded:
        align = max(4, *map(len, loaded))
        lines += ["", heading("Policy Packs run:"), f"    {_column('Name')}{' ' * (align - 2)}{_column('Version')}"]
        lines += [f"    {name}{' ' * (align - len(name) + 2)}{version}" for name, version in loaded.items()]
    if not preview:
        lines += ["", f"{heading('Duration:')} {duration(math.ceil(event.get('durationSeconds') or 0))}"]
    return "\n".join(lines) + "\n"


def _column(text: str) -> str:
    return markup.UNDERLINE + markup.BRIGHT_BLUE + text + markup.RESET


def duration(seconds: int) -> str:
    """Whole seconds as Go writes a duration: ``1h2m3s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
