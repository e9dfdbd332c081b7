"""Dependabot and code-scanning alerts as GitHub's REST API lists them, pages joined (a list of alerts, or a list of pages).

That all pages were fetched cannot be seen in the list: the note's ``count`` (pages) says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.jsonstream import mapping
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.severity import is_severe

_STATES = {"open", "dismissed", "fixed", "auto_dismissed"}


def _alerts(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Every alert of a list or of a list of lists."""
    source = jsonstream.events(stream, "start_array")
    for path, kind, value in source:
        if path in ("item", "item.item") and kind == "start_map":
            yield jsonstream.whole_object(source)
        elif path in ("item", "item.item") and kind not in ("start_array", "end_array", "end_map"):
            raise ReportError("wrong-tool", f"is not a list of alerts: it holds {str(value)[:40]!r}")


def _reading(stream: BinaryIO, severe: Callable[[dict[str, Any]], str | None]) -> Reading:
    findings: list[str] = []
    number = 0
    for alert in _alerts(stream):
        if str(alert.get("state")) not in _STATES or "number" not in alert:
            raise ReportError("wrong-tool", "is not a list of alerts: an entry has no number and state")
        word = severe(alert)
        if alert["state"] == "open" and word is not None:
            number += 1
            if len(findings) < MAX_FINDINGS:
                findings.append(f"alert {alert['number']} ({word})")
    return Reading(tool="GitHub", figures={"severe": Figure(number, None, tuple(findings))}, failed=number)


def read_dependabot(name: str, stream: BinaryIO) -> Reading:
    """Open alerts of high or critical severity; one without a known severity counts."""

    def severe(alert: dict[str, Any]) -> str | None:
        advisory = mapping(alert.get("security_advisory"), "security_advisory")
        vulnerability = mapping(alert.get("security_vulnerability"), "security_vulnerability")
        words = {str(holder["severity"]) for holder in (advisory, vulnerability) if holder.get("severity") is not None}
        cvss = advisory.get("cvss")
        severe = is_severe(words, [cvss.get("score")] if isinstance(cvss, dict) else ())
        return f"{alert.get('state')}, {'/'.join(sorted(words)) or 'no severity'}" if severe else None

    return _reading(stream, severe)


def read_code_scanning(name: str, stream: BinaryIO) -> Reading:
    """Open alerts of error severity, or of high or critical security severity."""

    def severe(alert: dict[str, Any]) -> str | None:
        rule = mapping(alert.get("rule"), "rule")
        level, security = rule.get("severity"), rule.get("security_severity_level")
        # An error counts whatever its security severity is, and so does a severe one whatever its level is.
        severe = is_severe([level]) or (security is not None and is_severe([security]))
        return f"{rule.get('id', 'rule')}, {security or level}" if severe else None

    return _reading(stream, severe)
