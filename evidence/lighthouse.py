"""Lighthouse: one result, a list of results of several runs (the median of a page counts), or Lighthouse CI's manifest.

A category's score is a number from 0 to 1; the gate's figure is 100 times that, of the worst page. A file with scores from 0 to 100 is
refused: it is not Lighthouse's, and 0.9 there would be 90 here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from statistics import median_low
from typing import Any, BinaryIO

from evidence import jsonstream
from evidence.model import MAX_FINDINGS, Figure, Reading, ReportError
from evidence.pages import is_same_page
from evidence.report import moment

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")


@dataclass
class _Page:
    """Scores of one run by category."""

    url: str = ""
    asked: str = ""
    warnings: list[str] = field(default_factory=list)
    version: str = ""
    time: datetime | None = None
    scores: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    representative: bool = True


def read(name: str, stream: BinaryIO) -> Reading:
    """``count`` is the number of pages."""
    pages = _manifest(stream) if name == "manifest.json" else _results(stream)
    if not pages:
        raise ReportError("nothing-checked", "holds no result")
    for page in pages:
        if page.failed:
            raise ReportError("unreadable", f"holds a run that failed: {page.failed}")
        missing = [category for category in CATEGORIES if category not in page.scores]
        if missing:
            raise ReportError("unreadable", f"has no score for {', '.join(missing)} of {page.url or 'a page'}")
    by_url: dict[str, list[_Page]] = {}
    for page in pages:
        by_url.setdefault(page.url, []).append(page)
    figures = {}
    for category in CATEGORIES:
        scores = {url: median_low([page.scores[category] for page in runs]) * 100 for url, runs in by_url.items()}
        worst = sorted(scores, key=lambda url: scores[url])[:MAX_FINDINGS]
        figures[category] = Figure(
            round(min(scores.values()), 2), len(by_url), tuple(f"{url} ({scores[url]:.0f})" for url in worst if scores[url] < 100)
        )
    times = [page.time for page in pages if page.time is not None]
    return Reading(
        tool="Lighthouse",
        figures=figures,
        held=len(by_url),
        missed=tuple(dict.fromkeys(f"{page.asked}: it was redirected to {page.url}" for page in pages if _redirected(page))),
        remarks=tuple(dict.fromkeys(warning for page in pages for warning in page.warnings))[:3],
        version=next((p.version for p in pages if p.version), None),
        time=min(times, default=None),
    )


def _redirected(page: _Page) -> bool:
    return bool(page.asked) and not is_same_page(page.asked, page.url)


def _score(value: Any, category: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError("unreadable", f"gives no score for {category}")
    if not 0 <= value <= 1:
        raise ReportError("unreadable", f"gives {category} as {value:g}, outside Lighthouse's scale of 0 to 1")
    return float(value)


def _results(stream: BinaryIO) -> list[_Page]:
    pages: list[_Page] = []
    prefix = ""
    for path, kind, value in jsonstream.events(stream):
        if not pages and path == "" and kind == "start_array":
            prefix = "item."
        elif kind == "start_map" and path == prefix.rstrip("."):
            pages.append(_Page())
        elif pages and path.startswith(prefix):
            _fact(pages[-1], path[len(prefix) :], kind, value)
        elif kind not in ("map_key", "end_map", "end_array"):
            raise ReportError("wrong-tool", "is no Lighthouse result")
    for page in pages:
        if not page.version:
            raise ReportError("wrong-tool", "is no Lighthouse result (lighthouseVersion, categories)")
        page.url = page.url or page.asked
    return pages


def _fact(page: _Page, path: str, kind: str, value: Any) -> None:
    if path == "lighthouseVersion" and kind == "string":
        page.version = value[:50]
    elif path == "fetchTime":
        page.time = moment(value)
    elif path == "requestedUrl" and kind == "string":
        page.asked = value[:200]
    elif path in ("finalDisplayedUrl", "finalUrl") and kind == "string":
        # Since Lighthouse 10 both are there; what was displayed at the end is what was looked at.
        page.url = page.url if path == "finalUrl" and page.url else value[:200]
    elif path == "runWarnings.item" and kind == "string":
        page.warnings.append(value[:150])
    elif path == "runtimeError.code" and kind == "string" and value != "NO_ERROR":
        page.failed = value[:60]
    elif path.startswith("categories.") and path.endswith(".score"):
        category = path.split(".")[1]
        if category in CATEGORIES:
            if category in page.scores:
                raise ReportError("unreadable", f"gives a score for {category} twice")
            page.scores[category] = _score(value, category)


def _manifest(stream: BinaryIO) -> list[_Page]:
    """Lighthouse CI's ``manifest.json``: each page's representative run. It names no version: a note beside it does."""
    pages: list[_Page] = []
    for prefix, entry in jsonstream.items(jsonstream.events(stream, "start_array"), "item"):
        if not prefix:
            continue
        data = jsonstream.mapping(entry, "an entry")
        summary = jsonstream.mapping(data.get("summary"), "summary")
        if not isinstance(data.get("isRepresentativeRun"), bool) or not jsonstream.text(data.get("url")):
            raise ReportError("wrong-tool", "is no Lighthouse CI manifest (url, isRepresentativeRun, summary)")
        page = _Page(url=str(data["url"])[:200], representative=data["isRepresentativeRun"])
        page.scores = {category: _score(summary[category], category) for category in CATEGORIES if category in summary}
        pages.append(page)
    chosen = [page for page in pages if page.representative]
    if {page.url for page in pages} != {page.url for page in chosen}:
        raise ReportError("unreadable", "has a page without a representative run")
    return chosen
