"""The quality gates, judged from the figures on ``mo:deploy:QualityGate``. No rule reads a verdict that the program computed."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pulumi_policy import EnforcementLevel

from rules.rule import Resource, ResourceRule, Sentences
from rules.thresholds import THRESHOLDS, Threshold
from rules.values import UNKNOWN, entries, holds_unknown, number, text

GATE = "mo:deploy:QualityGate"
CLOCK = timedelta(minutes=5)
ROLLBACK_LASTS = timedelta(hours=1)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NO_VERSION = re.compile(r"(fallback.*|unknown|none|null|undefined|n/?a|-|v?0+(\.0+)*([-+].*)?)?", re.IGNORECASE)


def now() -> datetime:
    """The pack's own clock."""
    return datetime.now(UTC)


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time in UTC; ``None`` where it is none or has no zone."""
    try:
        time = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else None


def gates_of(resource: Resource) -> dict[str, dict[str, Any]]:
    """The gates on the component by name; what has no name that this pack knows is left to ``gates-complete``."""
    found: dict[str, dict[str, Any]] = {}
    for gate in entries(resource.props.get("gates")):
        if isinstance(gate, dict) and text(gate.get("name")) in THRESHOLDS:
            found.setdefault(gate["name"], gate)
    return found


def rollback_fault(rollback: Any) -> str | None:
    """Why a rollback's note does not let it pass the gates; ``None`` where it does. A note holds for one hour: once."""
    if not isinstance(rollback, dict) or holds_unknown(rollback):
        return "it is not the note that 'bin/mo rollback' writes"
    time = moment(rollback.get("time"))
    if (number(rollback.get("update")) or 0) < 1:
        return "it names no update to go back to"
    if len(text(rollback.get("reason"))) < 10 or not text(rollback.get("author")):
        return "it needs a reason (10 characters or more) and an author"
    if time is None or not -CLOCK <= now() - time <= ROLLBACK_LASTS:
        return f"its time is not within the last {int(ROLLBACK_LASTS.total_seconds() // 60)} minutes: run 'bin/mo rollback' again"
    return None


def passes_by(resource: Resource) -> bool:
    """Whether this is a rollback, which passes the gates once."""
    rollback = resource.props.get("rollback")
    return rollback is not None and rollback_fault(rollback) is None


def waived(resource: Resource, gate: dict[str, Any], threshold: Threshold, days: float) -> bool:
    """Whether a waiver for this very commit lets the gate's figure through."""
    waiver = gate.get("waiver")
    if not threshold.waivable or not isinstance(waiver, dict) or holds_unknown(waiver):
        return False
    expires = moment(waiver.get("expires"))
    return (
        text(waiver.get("commit")) == resource.props.get("commit")
        and text(waiver.get("gate")) in ("", gate["name"])
        and len(text(waiver.get("reason"))) >= 15
        and len(text(waiver.get("author"))) >= 3
        and expires is not None
        and now() < expires <= now() + timedelta(days=days)
    )


def _figures(group: str) -> Callable[[Resource, dict[str, Any]], Sentences]:
    def check(resource: Resource, config: dict[str, Any]) -> Sentences:
        if passes_by(resource):
            return
        for name, gate in gates_of(resource).items():
            threshold = THRESHOLDS[name]
            if threshold.group == group and not waived(resource, gate, threshold, config["waiverDays"]):
                for report in entries(gate.get("reports")):
                    yield from _figure(name, threshold, report, config[name])

    return check


def _figure(name: str, threshold: Threshold, report: Any, configured: Any) -> Sentences:
    if not isinstance(report, dict):
        yield f"{name}: one of its reports is no entry of the gate. Register the QualityGate from evidence.judge.inputs."
        return
    limit = number(configured)
    limit = threshold.limit if limit is None else limit
    where = text(report.get("path")) or "a report without a path"
    figure = number(report.get("figure"))
    if report.get("figure") is UNKNOWN:
        yield f"{name}: the figure of {where} is not known yet; a gate must be judged before anything changes. Read reports, not outputs."
    elif figure is None:
        yield f"{name}: {where} gives no figure, required: {threshold.required(limit)}. Run the tool again for this commit."
    elif not threshold.passes(figure, limit):
        yield f"{name}: {threshold.sentence(figure, limit)} (see {where}). {threshold.remedy}, then run the gates again."


def _complete(resource: Resource, config: dict[str, Any]) -> Sentences:
    rollback = resource.props.get("rollback")
    if rollback is not None:
        fault = rollback_fault(rollback)
        if fault is None:
            return
        yield f"the note that this is a rollback is refused: {fault}."
    required = resource.props.get("required")
    if not isinstance(required, list) or holds_unknown(required) or not required:
        yield "the list of required gates is missing or not known. Set mo:gates.required in the stack's settings."
        required = []
    minimum = config["required"].get(resource.stack, []) if isinstance(config["required"], dict) else []
    present = gates_of(resource)
    for name in dict.fromkeys([*required, *minimum]):
        if name not in THRESHOLDS:
            yield f"{name!r} is no gate. The gates are {', '.join(THRESHOLDS)}."
        elif name not in required:
            yield f"{name}: the stack {resource.stack} must require this gate and does not. Add it to mo:gates.required."
        elif name not in present or not entries(present[name].get("reports")):
            yield f"{name}: there is no evidence for this gate, which is required. Run the tool for this commit (make gates)."
    for gate in entries(resource.props.get("gates")):
        if not isinstance(gate, dict) or text(gate.get("name")) not in THRESHOLDS:
            yield "the component holds a gate that this pack does not know. Update the pack, or take the gate away."
    if not _COMMIT.fullmatch(text(resource.props.get("commit"))):
        yield "the commit to deploy is not known: 40 hexadecimal digits expected. Build from a clean checkout."


def _provenance(resource: Resource, config: dict[str, Any]) -> Sentences:
    if passes_by(resource):
        return
    hours = min(number(resource.props.get("maxAgeHours")) or 0, config["maxAgeHours"])
    for name, gate in gates_of(resource).items():
        for report in entries(gate.get("reports")):
            if isinstance(report, dict):
                where = text(report.get("path")) or "a report without a path"
                for fault in _faults(resource, name, report, hours, resource.stack in config["committed"]):
                    yield f"{name}: {where} {fault}. Run the tool again for this commit and leave its report there."


def _faults(resource: Resource, name: str, report: dict[str, Any], hours: float, committed: bool) -> Iterator[str]:
    """What keeps a report from being evidence. One that is missing or broken says only that."""
    if holds_unknown(report):
        yield "has parts that are not known yet, and a gate must be judged before anything changes"
        return
    if report.get("problem") is not None:
        yield f"proves nothing ({text(report.get('problem'))}): {text(report.get('detail')) or 'no details'}"
        return
    if not _DIGEST.fullmatch(text(report.get("digest"))):
        yield "has no SHA-256"
    version = text(report.get("toolVersion"))
    if not text(report.get("tool")) or "fallback" in text(report.get("tool")).lower() or _NO_VERSION.fullmatch(version):
        yield f"does not come from a known version of its tool ({text(report.get('tool')) or 'no tool'} {version or 'without version'})"
    if text(report.get("commit")) != resource.props.get("commit"):
        yield f"was made for commit {text(report.get('commit'))[:12] or 'unknown'}, not for {text(resource.props.get('commit'))[:12]}"
    if committed and report.get("uncommitted") is not False:
        yield "was made with changes that the commit does not hold, or does not say that it was not"
    if THRESHOLDS[name].counts and (number(report.get("count")) or 0) <= 0:
        yield "checked nothing"
    time = moment(report.get("time"))
    if time is None:
        yield "does not say when it was made"
    elif time > now() + CLOCK:
        yield f"was made at {time:%Y-%m-%d %H:%M} UTC, which is in the future"
    elif now() - time > timedelta(hours=hours):
        yield f"is {(now() - time).total_seconds() / 3600:.0f} hours old, {hours:g} are allowed"


def _bypass(resource: Resource, config: dict[str, Any]) -> Sentences:
    if passes_by(resource):
        note = resource.props["rollback"]
        yield f"rollback to update {note['update']:g} passes the gates once: {text(note['reason'])} ({text(note['author'])})."


def _waivers(resource: Resource, config: dict[str, Any]) -> Sentences:
    for name, gate in gates_of(resource).items():
        waiver = gate.get("waiver")
        if waiver is None or passes_by(resource):
            continue
        if waived(resource, gate, THRESHOLDS[name], config["waiverDays"]):
            who = f"{text(waiver['author'])} until {text(waiver['expires'])}"
            yield f"{name} is waived for commit {text(waiver['commit'])[:12]} by {who}: {text(waiver['reason'])}."
        else:
            yield f"{name}: its waiver does not count (wrong commit, expired, too long, without reason, or a gate that none may waive)."


_DAYS = {
    "waiverDays": {
        "type": "number",
        "default": 14,
        "minimum": 0,
        "maximum": 14,
        "description": "For how many days a waiver may last.",
    }
}
_EVERY = list(THRESHOLDS)

RULES: tuple[ResourceRule, ...] = (
    ResourceRule(
        "gates-complete",
        "Every required gate has evidence for a known commit.",
        (GATE,),
        _complete,
        schema={
            "required": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string", "enum": _EVERY}, "uniqueItems": True},
                "default": {"production": _EVERY, "staging": _EVERY},
                "description": "Gates that a stack must require, by stack.",
            }
        },
    ),
    ResourceRule(
        "gates-provenance",
        "A gate's report is whole, made by the real tool, for this commit, and fresh.",
        (GATE,),
        _provenance,
        schema={
            "maxAgeHours": {
                "type": "number",
                "default": 24,
                "minimum": 1,
                "maximum": 168,
                "description": "How old a report may be, in hours; the stack's own limit counts where it is lower.",
            },
            "committed": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["production", "staging"],
                "description": "Stacks whose reports must be of a checkout without changes.",
            },
        },
    ),
    *(
        ResourceRule(
            f"gates-{group}",
            f"The gates of {group} are within their thresholds.",
            (GATE,),
            _figures(group),
            schema={**{name: limit.schema(name) for name, limit in THRESHOLDS.items() if limit.group == group}, **_DAYS},
        )
        for group in ("security", "quality", "testing", "performance", "compliance")
    ),
    ResourceRule(
        "gates-rollback", "A rollback passes the gates once, and it is written down.", (GATE,), _bypass, EnforcementLevel.ADVISORY
    ),
    ResourceRule("gates-waivers", "A waived gate is shown.", (GATE,), _waivers, EnforcementLevel.ADVISORY, schema=_DAYS),
)
