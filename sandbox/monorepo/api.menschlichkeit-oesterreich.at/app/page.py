"""The API's one page for people: what it is, which release runs, a value from its database."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_PAGE = """\
<!doctype html>
<html lang="de">
<head>
<meta charset="utf-8">
<title>API – Menschlichkeit Österreich</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Schnittstelle für Mitglieder von Menschlichkeit Österreich: Anmeldung, Profil, Zustand.">
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 100%/1.6 system-ui, sans-serif; max-width: 48rem; margin: 0 auto; padding: 1rem; }}
a {{ color: light-dark(#8b1e2d, #ff9aa5); }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; }}
dt {{ font-weight: 600; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<header><p>Menschlichkeit Österreich</p></header>
<main>
<h1>API</h1>
<p>Schnittstelle für Mitglieder: <a href="/docs">Beschreibung</a>, <a href="/openapi.json">OpenAPI</a>, <a href="/health">Zustand</a>.</p>
</main>
<footer><dl>{facts}</dl></footer>
</body>
</html>
"""


def page(facts: Mapping[str, tuple[str, object]]) -> str:
    """The page. ``facts``: an attribute's name for programs, a title for people, and the value."""
    rows = (f"<dt>{title}</dt><dd data-{name}>{escape(str(value or 'unbekannt'))}</dd>" for name, (title, value) in facts.items())
    return _PAGE.format(facts="".join(rows))
