"""Runs the end-to-end flows: JUnit, JSON, a screenshot and a video of each that fails."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from xml.etree import ElementTree

from catalog.settings import Flow
from operations.deployment.outcome import Outcome, Validation
from operations.validation.browser import STEP_TIMEOUT, BrowserError, Site, first_line, opened, recorder
from operations.validation.flow_steps import STEPS, FlowError, Step, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAME = "end-to-end"
JUNIT, JSON = "flows.xml", "flows.json"
State = Literal["passed", "flaky", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """How a flow ended. ``flaky``: it passed when it was tried again; ``files``: pictures and videos, in the run's folder."""

    name: str
    title: str
    state: State
    seconds: float = 0.0
    problem: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """What to try. ``limit``: percent of failed flows beyond which nothing is tried twice any more."""

    site: Site
    names: Sequence[Flow]
    mode: Literal["write", "look"]
    mailbox: Path | None
    folder: Path
    limit: float = 10.0


def run(validation: Validation) -> Outcome:
    """The flows that the stack names, on what is deployed. More than ``maxFailedPercent`` of them failed: a reason to go back."""
    wanted = validation.settings.validation
    trial = Trial(
        Site(validation.settings, dict(validation.services)),
        wanted.flows,
        wanted.flow_mode,
        validation.root / wanted.mailbox if wanted.mailbox else None,
        validation.folder,
        wanted.max_failed_percent,
    )
    try:
        results = tried(trial)
    except BrowserError as error:
        # Nobody looked, which is no pass; but it says nothing against the site either.
        return Outcome(NAME, False, f"no flow was tried: {error}")
    return outcome(results, wanted.max_failed_percent, wanted.flow_mode)


def outcome(results: Sequence[Result], limit: float, mode: str) -> Outcome:
    """What the results mean. ``limit``: in percent."""
    states = [result.state for result in results]
    counts: dict[str, int] = {state: states.count(state) for state in get_args(State)}
    ran, failed = len(results) - counts["skipped"], counts["failed"]
    details = {"mode": mode, "ran": ran, **counts, "flows": [asdict(result) for result in results]}
    if ran == 0:
        return Outcome(NAME, True, "no flow concerns what this stack deploys", details)
    said = f"{ran - failed} of {ran} flows passed"
    if mode == "look":
        said += ", up to the last click"
    if counts["flaky"]:
        said += f" ({counts['flaky']} when tried again)"
    bad = [f"{result.title}: {result.problem}" for result in results if result.state == "failed"]
    why = None
    if 100 * failed / ran > limit:
        named = ", ".join(result.title for result in results if result.state == "failed")
        why = f"{failed} of {ran} end-to-end flows failed, more than {limit:g} % ({named})"
    return Outcome(NAME, not failed, "; ".join([said, *bad]), details, why)


def tried(trial: Trial) -> list[Result]:
    """Tries each flow, one that fails once more, and writes the reports. Raises ``BrowserError``."""
    chosen = {name: STEPS[name] for name in STEPS if name in trial.names}
    absent = {name: [s for s in step.services if s not in trial.site.services] for name, step in chosen.items()}
    results: dict[Flow, Result] = {
        name: Result(name, step.title, "skipped", problem=f"{', '.join(absent[name])} is not deployed here")
        for name, step in chosen.items()
        if absent[name]
    }
    begun, version = datetime.now(UTC), ""
    left = {name: step for name, step in chosen.items() if not absent[name]}
    trial.folder.mkdir(parents=True, exist_ok=True)
    if left:
        with opened(trial.site) as browser:
            version = browser.version
            for name, step in left.items():
                failed = sum(result.state == "failed" for result in results.values())
                results[name] = _twice(browser, trial, name, step, again=100 * failed / len(left) <= trial.limit)
    ordered = [results[name] for name in chosen]
    _write(trial.folder, ordered, begun, version, trial.mode)
    return ordered


def _twice(browser: Browser, trial: Trial, name: Flow, step: Step, again: bool) -> Result:
    began = time.monotonic()
    problem, files = _once(browser, trial, name, step, "")
    state: State = "failed" if problem else "passed"
    if problem and again:
        second, more = _once(browser, trial, name, step, "-again")
        files += more
        if second:
            problem = second
        else:
            state = "flaky"
    return Result(name, step.title, state, round(time.monotonic() - began, 2), problem, tuple(files))


def _once(browser: Browser, trial: Trial, name: Flow, step: Step, suffix: str) -> tuple[str, list[str]]:
    """The problem, empty where there is none, and the files that show it. The second time a video is made. Raises ``BrowserError``."""
    from playwright.sync_api import Error

    video: dict[str, Any] = {"record_video_dir": str(trial.folder)} if suffix and recorder() else {}
    context = browser.new_context(**trial.site.context, **video)
    context.set_default_timeout(STEP_TIMEOUT * 1000)
    page = context.new_page()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(f"{answer.url} answers {answer.status}") if answer.status >= 500 else None)
    page.on("requestfailed", lambda request: refused.append(f"{request.url} failed ({request.failure})"))
    problem, files = "", []
    try:
        step.act(Visitor(page, trial.site, trial.mode, trial.mailbox))
    except FlowError as error:
        problem = str(error)
    except (Error, AssertionError) as error:
        problem = first_line(error)
    if not browser.is_connected():
        raise BrowserError(f"Chromium ended in the middle of the flow {name!r}.")
    if problem:
        told = [*_alerts(page), *refused]
        problem = "; ".join([problem, *[words for words in dict.fromkeys(told) if words not in problem][:3]])
        files += _picture(page, trial.folder / f"{name}{suffix}.png")
    context.close()
    if video and page.video is not None:
        files += _video(page, trial.folder / f"{name}.webm", keep=bool(problem))
    return problem, files


def _alerts(page: Page) -> list[str]:
    """What the page itself says that is wrong."""
    from playwright.sync_api import Error

    try:
        return [" ".join(text.split())[:150] for text in page.get_by_role("alert").all_text_contents() if text.strip()]
    except Error:
        return []


def _picture(page: Page, place: Path) -> list[str]:
    from playwright.sync_api import Error

    try:
        page.screenshot(path=place, full_page=True)
    except Error:
        return []  # a page that never came has no picture
    return [place.name]


def _video(page: Page, place: Path, keep: bool) -> list[str]:
    from playwright.sync_api import Error

    try:
        made = Path(page.video.path()) if page.video else place
        if not keep:
            made.unlink(missing_ok=True)
            return []
        made.replace(place)
    except (Error, OSError):
        return []
    return [place.name]


def _write(folder: Path, results: Sequence[Result], begun: datetime, version: str, mode: str) -> None:
    at = begun.isoformat(timespec="seconds")
    told = {
        "version": 1,
        "browser": f"Chromium {version}",
        "mode": mode,
        "time": at,
        "flows": [asdict(result) for result in results],
    }
    (folder / JSON).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    (folder / JUNIT).write_bytes(junit(results, at))


def junit(results: Sequence[Result], at: str) -> bytes:
    """The results as JUnit XML. ``at``: ISO 8601."""

    def number(state: State) -> str:
        return str(sum(result.state == state for result in results))

    seconds = f"{sum(result.seconds for result in results):.2f}"
    counts: Mapping[str, str] = {
        "tests": str(len(results)),
        "failures": number("failed"),
        "errors": "0",
        "skipped": number("skipped"),
    }
    suite = ElementTree.Element("testsuite", {"name": NAME, "timestamp": at, "time": seconds, **counts})
    for result in results:
        case = ElementTree.SubElement(suite, "testcase", {"classname": NAME, "name": result.title, "time": f"{result.seconds:.2f}"})
        if result.state == "failed":
            ElementTree.SubElement(case, "failure", {"message": result.problem}).text = "\n".join(result.files)
        elif result.state == "skipped":
            ElementTree.SubElement(case, "skipped", {"message": result.problem})
    whole = ElementTree.Element("testsuites", {"name": NAME, "time": seconds, **counts})
    whole.append(suite)
    return bytes(ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True))
