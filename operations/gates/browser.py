"""Lighthouse and axe-core in Chromium on the site's pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evidence import lighthouse as lighthouse_reader
from evidence.gates import GATES
from evidence.model import ReportError
from evidence.pages import is_same_page
from operations.gates import served
from operations.gates.context import Context, NotHereError, StepError
from operations.gates.node import installed, version
from operations.validation.browser import BrowserError, Site, chromium, first_line

PAGES = ("main", "frontend", "games")
"""Services whose first page is looked at before a deploy; after it, every service is."""
_MORE_RUNS = 2
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def _chromium() -> str:
    try:
        return chromium()
    except BrowserError as error:
        raise NotHereError(str(error)) from None


def ready(context: Context) -> None:
    """Sees that Lighthouse and a browser are there. Raises ``StepError``."""
    installed(context)
    _chromium()


def measure(context: Context, url: str, target: Path) -> None:
    """Lighthouse's report on one page, as JSON in ``target``: one run, or three where the first falls short of a threshold (their median
    counts, for a busy machine makes a page look slow). Raises ``StepError``."""
    _once(context, url, target)
    if not _short(target):
        return
    try:
        runs = [json.loads(target.read_bytes())]
        for _ in range(_MORE_RUNS):
            _once(context, url, target)
            runs.append(json.loads(target.read_bytes()))
        target.write_text(json.dumps(runs))
    except (OSError, ValueError, RecursionError):
        raise StepError(f"Lighthouse wrote no complete report for {url}") from None


def _short(report: Path) -> bool:
    """Whether a score is below its threshold. A report that cannot be read is not: the gate's own reader says what is wrong with it."""
    try:
        with report.open("rb") as stream:
            figures = lighthouse_reader.read(report.name, stream).figures
    except (OSError, ReportError):
        return False
    return any(not GATES[f"lighthouse-{category}"].passes(figures[category].value) for category in lighthouse_reader.CATEGORIES)


def _once(context: Context, url: str, target: Path) -> None:
    if context.site is None:
        raise StepError(f"the settings of the stack {context.at} are not complete, so {url} cannot be checked")
    site = Site(context.site, {})
    # The same as ``Site.context``: a private authority is unknown to Chromium.
    flags = ["--headless=new", *site.flags, *(["--ignore-certificate-errors"] if site.context["ignore_https_errors"] else [])]
    context.run(
        [
            "node", str(installed(context) / "node_modules/lighthouse/cli/index.js"), url, "--quiet", "--output=json",
            f"--output-path={target}", "--only-categories=performance,accessibility,best-practices,seo", f"--chrome-flags={_quoted(flags)}",
            "--preset=desktop", "--no-enable-error-reporting",
        ],
        target.parent,
        env={"CHROME_PATH": _chromium()},
    )  # fmt: skip


def _quoted(flags: list[str]) -> str:
    """As Lighthouse splits them: at spaces outside of quotes."""
    return " ".join(f'{name}="{value}"' if " " in value else flag for flag in flags for name, _, value in (flag.partition("="),))


def lighthouse(context: Context) -> None:
    """Leaves ``lighthouse.json``: the results of all pages, or none."""
    name = "lighthouse.json"
    ready(context)
    site = served.site(context, PAGES)
    runs: list[Any] = []
    with context.scratch() as scratch:
        for service in PAGES:
            url, target = site.url(service), scratch / f"{service}.json"
            measure(context, url, target)
            try:
                made = json.loads(target.read_bytes())
            except (OSError, ValueError, RecursionError):
                raise StepError(f"Lighthouse wrote no complete report for {url}") from None
            runs += made if isinstance(made, list) else [made]
        (scratch / name).write_text(json.dumps(runs))
        of, pages = version("lighthouse"), len(PAGES)
        context.keep(scratch / name, name, "Lighthouse", of, count=pages, about=context.about_site)


def axe(context: Context) -> None:
    """Leaves ``axe.json``: axe-core's results for each page, WCAG 2.2 A and AA."""
    from playwright.sync_api import Error, sync_playwright

    name = "axe.json"
    script = (installed(context) / "node_modules/axe-core/axe.min.js").read_text()
    site = served.site(context, PAGES)
    results: list[Any] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=site.flags)
            tab = browser.new_context(**site.context, bypass_csp=True).new_page()
            for service in PAGES:
                url = site.url(service)
                answer = tab.goto(url, wait_until="networkidle", timeout=60_000)
                if answer is None or answer.status != 200:
                    raise StepError(f"{url} answers {answer.status if answer else 'nothing'}, so it cannot be checked")
                if not is_same_page(url, tab.url):
                    raise StepError(f"{url} leads to {tab.url}, so it cannot be checked")
                tab.evaluate(script)
                results.append(tab.evaluate("tags => axe.run(document, {runOnly: tags})", _TAGS))
            browser.close()
    except Error as error:
        raise StepError(f"Chromium could not check the pages: {first_line(error)}") from None
    with context.scratch() as scratch:
        (scratch / name).write_text(json.dumps(results))
        context.keep(scratch / name, name, "axe-core", version("axe-core"), count=len(PAGES), about=context.about_site)
