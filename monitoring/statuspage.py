"""The status page: one HTML file without script, readable on a phone, made from the exports and the last answers of the services.

Its readers are the members and the public, so it speaks German, as the sites do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Literal

from catalog.exports import MonitoringExport, ServiceExport

State = Literal["up", "down", "files only", "unknown", "absent"]
"""``files only``: an external service's files are there and its daemon is not; ``absent``: never deployed."""

_WORDS: Mapping[State, str] = {
    "up": "erreichbar",
    "down": "gestört",
    "files only": "nur Dateien",
    "unknown": "unbekannt",
    "absent": "noch nicht ausgeliefert",
}
_MONTHS = ["Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"]
_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --text: #1a1a1a; --dim: #555; --line: #ccc;
  --up: #0a5c2b; --down: #a30000; --other: #4a4a4a; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #141414; --text: #f0f0f0; --dim: #b8b8b8; --line: #444; --up: #7fe0a3; --down: #ff9c9c; --other: #c8c8c8; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; background: var(--bg); color: var(--text); }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; overflow-wrap: anywhere; }
p { margin: 0.5rem 0; color: var(--dim); }
ul { list-style: none; margin: 1rem 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: 0.75rem 0; display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; }
a { color: inherit; font-weight: 600; padding: 0.25rem 0; }
.state { font-weight: 700; padding: 0.25rem 0; }
.up { color: var(--up); } .down { color: var(--down); } .files-only, .unknown, .absent { color: var(--other); }
.detail { grid-column: 1 / -1; color: var(--dim); font-size: 0.875rem; overflow-wrap: anywhere; }
"""


def statuspage(exports: MonitoringExport, states: Mapping[str, State], checked_at: datetime | None) -> dict[str, str]:
    """The file ``status/index.html``.

    ``states``: service → its last answer; one that is missing is shown as unknown, never as up.
    ``checked_at`` (aware): when they were asked.
    """
    shown = {s.key: _state(s, states) for s in exports.services}
    when = _moment(checked_at) if checked_at else "noch nie"
    rows = "\n".join(_row(s, shown[s.key]) for s in exports.services)
    domain = escape(exports.domain)
    page = f"""<!doctype html>
<html lang="de-AT">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Zustand der Dienste von {domain}: welche antworten, mit welchem Release, seit wann.">
<link rel="icon" href="data:,">
<title>Betriebsstatus von {domain}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Betriebsstatus von {domain}</h1>
<p role="status"><strong>{escape(_headline(exports, shown))}</strong></p>
<p>Geprüft: {escape(when)}</p>
</header>
<main>
<ul>
{rows}
</ul>
</main>
<footer><p>Aus dem Stack {escape(exports.stack)}, erneuert bei jedem Deployment.</p></footer>
</body>
</html>
"""
    return {"status/index.html": page}


def _headline(exports: MonitoringExport, shown: Mapping[str, State]) -> str:
    everything = len(exports.services)
    down = [s.title for s in exports.services if shown[s.key] == "down"]
    if down:
        return f"{len(down)} von {everything} Diensten {'ist' if len(down) == 1 else 'sind'} gestört: {', '.join(down)}"
    for state, text in (("unknown", "nicht bekannt, ob sie antworten"), ("absent", "noch nicht ausgeliefert")):
        if count := sum(found == state for found in shown.values()):
            return f"{count} von {everything} Diensten: {text}"
    files = sum(found == "files only" for found in shown.values())
    if files:
        return f"{everything - files} von {everything} Diensten antworten, von {files} sind nur die Dateien da"
    return f"Alle {everything} Dienste antworten"


def _moment(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.day}. {_MONTHS[utc.month - 1]} {utc:%Y, %H:%M} UTC"


def _state(service: ServiceExport, states: Mapping[str, State]) -> State:
    if service.release is None:
        return "absent"
    return states.get(service.key, "unknown")


def _since(service: ServiceExport) -> str | None:
    try:
        return f"seit {_moment(datetime.fromisoformat(service.deployed_at))}" if service.deployed_at else None
    except ValueError:
        return f"seit {service.deployed_at}"


def _row(service: ServiceExport, state: State) -> str:
    commit = f"Commit {service.commit[:12]}" if service.commit else None
    version = f"Version {service.version}" if service.version else None
    details = [version, f"Release {service.release}", commit, _since(service)] if service.release else []
    css = state.replace(" ", "-")
    return (
        f'<li><a href="{escape(service.url)}">{escape(service.title)}</a> <span class="state {css}">{escape(_WORDS[state])}</span>'
        f'<span class="detail">{escape(", ".join(filter(None, details)))}</span></li>'
    )
