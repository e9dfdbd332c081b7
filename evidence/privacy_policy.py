"""The age of the privacy policy: the date that the page, or its source, says it is of."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser

_MONTHS = {
    "jänner": 1, "januar": 1, "january": 1, "februar": 2, "feber": 2, "february": 2, "märz": 3, "march": 3, "april": 4, "mai": 5, "may": 5,
    "juni": 6, "june": 6, "juli": 7, "july": 7, "august": 8, "september": 9, "oktober": 10, "october": 10, "november": 11, "dezember": 12,
    "december": 12,
}  # fmt: skip
_LABEL = (
    r"(?:Stand|Letzte (?:Aktualisierung|Änderung)|Zuletzt (?:aktualisiert|geändert)(?: am)?|Gültig ab|Last (?:updated|modified))"
)
_WRITTEN = re.compile(
    _LABEL + r"\W{0,5}(?:(\d{4})-(\d\d)-(\d\d)|(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})|(\d{1,2})\.?\s+([A-Za-zäÄ]+)\s+(\d{4}))",
    re.IGNORECASE,
)


class PolicyError(Exception):
    """A page without a date that can be judged; the message says what is missing."""


class _Page(HTMLParser):
    """Collects the page's text and the dates that its markup declares."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.declared: list[str] = []
        self.text: list[str] = []
        self._skip = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "time" and "data-policy" in values:
            self.declared.append(values.get("datetime", ""))
        elif tag == "meta" and values.get("name", "").lower() in ("dcterms.modified", "last-modified", "revised"):
            self.declared.append(values.get("content", ""))
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag in ("script", "style") and self._skip > 0

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text.append(data)


def updated(html: str) -> date:
    """The policy's date: ``<time datetime data-policy>``, ``<meta name="dcterms.modified">``, or a line like "Stand: 1. Oktober 2026".
    Where there are several, the oldest counts. Raises ``PolicyError`` where there is none."""
    page = _Page()
    page.feed(html)
    dates = [found for text in page.declared if (found := _iso(text)) is not None]
    if page.declared and not dates:
        raise PolicyError("the date that the page's markup declares is no date")
    if not dates:
        dates = [
            found for match in _WRITTEN.finditer(" ".join(" ".join(page.text).split())) if (found := _written(match)) is not None
        ]
    if not dates:
        raise PolicyError('the page does not say of which date it is: give it <time datetime="YYYY-MM-DD" data-policy="privacy">')
    return min(dates)


def age(html: str, today: date) -> int:
    """Days since the policy's date. Raises ``PolicyError`` where that is not known, or still to come."""
    day = updated(html)
    if day > today:
        raise PolicyError(f"the page says that it is of {day.isoformat()}, which is in the future")
    return (today - day).days


def _iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None


def _written(match: re.Match[str]) -> date | None:
    parts = match.groups()
    try:
        if parts[0]:
            return date(int(parts[0]), int(parts[1]), int(parts[2]))
        if parts[3]:
            return date(int(parts[5]), int(parts[4]), int(parts[3]))
        return date(int(parts[8]), _MONTHS[parts[7].lower()], int(parts[6]))
    except (ValueError, KeyError):
        return None
