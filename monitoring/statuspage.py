"""The status page: one HTML file without script, readable on a phone, made from the exports and the last answers of the services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Literal

from catalog.exports import MonitoringExport, ServiceExport

State = Literal["up", "down", "files only", "unknown"]

_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --text: #1a1a1a; --dim: #555; --line: #ccc;
  --up: #0a5c2b; --down: #a30000; --other: #4a4a4a; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #141414; --text: #f0f0f0; --dim: #b8b8b8; --line: #444; --up: #7fe0a3; --down: #ff9c9c; --other: #c8c8c8; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; background: var(--bg); color: var(--text); }
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
p { margin: 0.5rem 0; color: var(--dim); }
ul { list-style: none; margin: 1rem 0; padding: 0; }
li { border-top: 1px solid var(--line); padding: 0.75rem 0; display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; }
a { color: inherit; font-weight: 600; }
.state { font-weight: 700; }
.up { color: var(--up); } .down { color: var(--down); } .files-only, .unknown { color: var(--other); }
.detail { grid-column: 1 / -1; color: var(--dim); font-size: 0.875rem; overflow-wrap: anywhere; }
"""


def statuspage(exports: MonitoringExport, states: Mapping[str, State], checked_at: datetime | None) -> dict[str, str]:
    """The file ``status/index.html``.

    ``states``: service → its last answer; one that is missing is shown as unknown, never as up.
    ``checked_at`` (aware): when they were asked.
    """
    shown = {s.key: _state(s, states) for s in exports.services}
    down = [s for s in exports.services if shown[s.key] == "down"]
    unknown = [s for s in exports.services if shown[s.key] == "unknown"]
    if down:
        headline = f"{len(down)} of {len(exports.services)} services do not answer: {', '.join(s.title for s in down)}"
    elif unknown:
        headline = f"No answer known for {len(unknown)} of {len(exports.services)} services"
    else:
        headline = f"All {len(exports.services)} services answer"
    when = checked_at.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC") if checked_at else "not yet"
    rows = "\n".join(_row(s, shown[s.key]) for s in exports.services)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="State of the web services of {escape(exports.domain)}: which answer, with which release, since when.">
<link rel="icon" href="data:,">
<title>Status of {escape(exports.domain)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Status of {escape(exports.domain)}</h1>
<p role="status"><strong>{escape(headline)}</strong></p>
<p>Checked: {escape(when)}</p>
</header>
<main>
<ul>
{rows}
</ul>
</main>
<footer><p>Made by mo-deploy from the stack {escape(exports.stack)}.</p></footer>
</body>
</html>
"""
    return {"status/index.html": page}


def _state(service: ServiceExport, states: Mapping[str, State]) -> State:
    state = states.get(service.key, "unknown")
    # The page of an external service may answer while the daemon is somebody else's: that is not health.
    return "files only" if state == "up" and service.runtime == "external" else state


def _row(service: ServiceExport, state: State) -> str:
    details = [f"release {service.release}" if service.release else "not deployed yet"]
    if service.commit:
        details.append(f"commit {service.commit[:12]}")
    if service.deployed_at:
        details.append(f"since {service.deployed_at}")
    css = state.replace(" ", "-")
    return (
        f'<li><a href="{escape(service.url)}">{escape(service.title)}</a> <span class="state {css}">{escape(state)}</span>'
        f'<span class="detail">{escape(", ".join(details))}</span></li>'
    )
