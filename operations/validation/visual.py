"""Compares the frontend's pages with baseline pictures; where there are none, the pages are not compared, and this run's become them.

The pages are drawn with the API's answers fixed and with what differs from release to release covered, so that a difference is one of the
frontend's own looks.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.deployment.outcome import Outcome, Validation
from operations.validation.browser import STEP_TIMEOUT, BrowserError, Site, first_line, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Route, ViewportSize

NAME = "visual"
NOT_COMPARED = "not compared"
SERVICE = "frontend"
VIEW: ViewportSize = {"width": 1280, "height": 800}
TOLERANCE = 24
"""By how much (of 255) a colour may differ: less is the drawing of a letter's edge."""
_COVERED = "[data-release], [data-database]"
_STILL = "*, *::before, *::after { animation: none !important; transition: none !important; caret-color: transparent !important; }"
_ANSWERS: dict[str, dict[str, Any]] = {
    "/profile": {"email": "mitglied@flows.invalid", "name": "Anna Beispiel", "bio": "Mitglied seit 2026."},
    "/health": {"release": None, "database": {"engine": "none", "members": 0}},
}
"""What the API answers while pictures are taken: no member's data come into one."""


@dataclass(frozen=True)
class Page:
    """A page of the frontend. ``member``: as one who is logged in sees it."""

    name: str
    path: str
    heading: str
    member: bool = False


PAGES = (
    Page("home", "/#/", "Start"),
    Page("login", "/#/login", "Anmelden"),
    Page("dashboard", "/#/dashboard", "Mein Bereich", member=True),
)


@dataclass(frozen=True)
class Result:
    """``state``: ``same``, ``changed``, ``made`` (there was no baseline) or ``failed``; ``percent``: of the pixels, that differ."""

    name: str
    state: str
    percent: float | None = None
    problem: str = ""
    files: tuple[str, ...] = ()


def run(validation: Validation) -> Outcome:
    """The three pages against their baselines. A difference is told and changes nothing: ``bin/mo validate --accept`` takes it over."""
    if SERVICE not in validation.services:
        return Outcome(NAME, True, "the frontend is not deployed here", {"instead": NOT_COMPARED})
    try:
        return outcome(compared(validation), validation.settings.validation.max_changed_percent)
    except BrowserError as error:
        return Outcome(NAME, False, f"no picture was taken: {error}")
    except OSError as error:
        return Outcome(NAME, False, f"a picture cannot be kept: {error.filename}: {error.strerror}")


def outcome(results: list[Result], limit: float) -> Outcome:
    """What the results mean. ``limit``: in percent. A page without a baseline was not compared, which is no pass."""
    bad = [f"{result.name}: {result.problem}" for result in results if result.state in ("changed", "failed")]
    made = [result.name for result in results if result.state == "made"]
    said = f"{sum(result.state == 'same' for result in results)} of {len(results)} pages look as before"
    details: dict[str, Any] = {"limit_percent": limit, "pages": [asdict(result) for result in results]}
    if made:
        whole = all(result.state != "failed" for result in results)
        kept = "this run's pictures are kept for the next" if whole else "no picture was kept"
        said = f"{said}, not compared for want of a baseline: {', '.join(made)}; {kept}"
        details["instead"] = NOT_COMPARED
    return Outcome(NAME, not bad, "; ".join([said, *bad]), details)


def baselines(validation: Validation) -> Path:
    """The folder of the stack's baselines."""
    return validation.root / validation.settings.validation.baselines / validation.stack


def accept(validation: Validation) -> list[str]:
    """Takes the pictures that the last comparison of this run took as the new baselines; gives the pages' names."""
    taken = [page.name for page in PAGES if (validation.folder / f"{page.name}.png").is_file()]
    for name in taken:
        _keep(baselines(validation) / f"{name}.png", (validation.folder / f"{name}.png").read_bytes())
    return taken


def compared(validation: Validation) -> list[Result]:
    """Takes a picture of each page into the run's folder and compares it. Raises ``BrowserError`` and ``OSError``."""
    site = Site(validation.settings, dict(validation.services))
    limit = validation.settings.validation.max_changed_percent
    folder, kept = validation.folder, baselines(validation)
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    with opened(site) as browser:
        for page, picture in _pictures(browser, site):
            if isinstance(picture, str):
                results.append(Result(page.name, "failed", problem=picture))
                continue
            (folder / f"{page.name}.png").write_bytes(picture)
            results.append(_result(page.name, picture, kept / f"{page.name}.png", folder, limit))
        if not browser.is_connected():
            raise BrowserError("Chromium ended before all pictures were taken.")
    # Only where every page could be drawn: half a set of baselines would be of two releases later.
    if all(result.state != "failed" for result in results):
        for result in results:
            if result.state == "made":
                _keep(kept / f"{result.name}.png", (folder / f"{result.name}.png").read_bytes())
    (folder / "visual.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return results


def _result(name: str, picture: bytes, baseline: Path, folder: Path, limit: float) -> Result:
    try:
        before = baseline.read_bytes()
    except FileNotFoundError:
        return Result(name, "made", files=(f"{name}.png",))
    percent, drawn = difference(before, picture)
    if drawn is None:
        return Result(name, "failed", problem=f"{baseline} is no picture; remove it, and the next good deploy makes it anew")
    if percent <= limit:
        return Result(name, "same", round(percent, 3), files=(f"{name}.png",))
    (folder / f"{name}-difference.png").write_bytes(drawn)
    problem = f"{percent:.2f} % of its pixels differ, at most {limit:g} % may (see {name}-difference.png)"
    return Result(name, "changed", round(percent, 3), problem, (f"{name}.png", f"{name}-difference.png"))


def difference(before: bytes, after: bytes) -> tuple[float, bytes | None]:
    """How many percent of the pixels differ, and a picture: the old page in grey, the differences red. ``None``: ``before`` is none.

    Pages of different sizes are laid on one canvas; what only one of them covers differs.
    """
    from PIL import Image, ImageChops

    try:
        old, new = (Image.open(io.BytesIO(raw)).convert("RGB") for raw in (before, after))
    except (OSError, ValueError, Image.DecompressionBombError):
        return 100.0, None
    size = (max(old.width, new.width), max(old.height, new.height))
    alone = Image.new("L", size, 255)
    alone.paste(0, (0, 0, min(old.width, new.width), min(old.height, new.height)))
    canvas = [Image.new("RGB", size, "white") for _ in range(2)]
    canvas[0].paste(old)
    canvas[1].paste(new)
    red, green, blue = ImageChops.difference(*canvas).split()
    worst = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = ImageChops.lighter(worst.point(lambda value: 255 if value > TOLERANCE else 0), alone)
    changed = mask.histogram()[255]
    shown = canvas[0].convert("L").point(lambda value: 128 + value // 2).convert("RGB")
    shown.paste((220, 0, 0), mask=mask)
    out = io.BytesIO()
    shown.save(out, "PNG")
    return 100 * changed / (size[0] * size[1]), out.getvalue()


def _pictures(browser: Browser, site: Site) -> Iterator[tuple[Page, bytes | str]]:
    """Each page with its picture, or with the sentence why there is none."""
    from playwright.sync_api import Error, expect

    for page in PAGES:
        context = browser.new_context(
            **site.context, viewport=VIEW, device_scale_factor=1, reduced_motion="reduce", color_scheme="light"
        )
        _fix(context, site, page.member)
        try:
            tab = context.new_page()
            answer = tab.goto(site.url(SERVICE, page.path), timeout=STEP_TIMEOUT * 1000)
            if answer is not None and answer.status != 200:
                yield page, f"answers {answer.status}"
                continue
            expect(tab.get_by_role("heading", name=page.heading, level=1)).to_be_visible(timeout=STEP_TIMEOUT * 1000)
            if page.member:
                expect(tab.get_by_text(_ANSWERS["/profile"]["email"])).to_be_visible(timeout=STEP_TIMEOUT * 1000)
            tab.add_style_tag(content=_STILL)
            tab.evaluate("document.fonts.ready")
            yield page, tab.screenshot(full_page=True, mask=[tab.locator(_COVERED)], mask_color="#888888")
        except (Error, AssertionError) as error:
            yield page, f"cannot be drawn: {first_line(error)}"
        finally:
            if browser.is_connected():
                context.close()


def _fix(context: BrowserContext, site: Site, member: bool) -> None:
    """Puts fixed answers in the API's place. Nothing of what it says reaches a picture, and the picture asks nothing of it."""

    def answered(route: Route) -> None:
        path = "/" + route.request.url.split("://", 1)[-1].partition("/")[2].partition("?")[0]
        headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}
        route.fulfill(status=200 if path in _ANSWERS else 404, json=_ANSWERS.get(path, {}), headers=headers)

    own = site.url(SERVICE, "")
    context.route(lambda url: not url.startswith(own), answered)
    if member:
        context.add_init_script("sessionStorage.setItem('token', 'picture')")


def _keep(place: Path, picture: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.write_bytes(picture)
    new.replace(place)
