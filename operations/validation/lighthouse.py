"""Lighthouse on the deployed services' first pages, against the specification's thresholds. A shortfall never takes an update back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from evidence import lighthouse as reader
from evidence.gates import GATES
from evidence.model import ReportError
from evidence.own import Commit
from operations.deployment.outcome import Outcome, Validation
from operations.gates import browser
from operations.gates.context import Context, StepError
from operations.validation.browser import Site

NAME = "lighthouse"


@dataclass(frozen=True)
class Result:
    """One page. ``scores``: 0 to 100 by category; ``shortfalls``: what is below its threshold; ``problem``: why it was not measured."""

    service: str
    url: str
    scores: dict[str, float] = field(default_factory=dict)
    shortfalls: tuple[str, ...] = ()
    problem: str = ""


def run(validation: Validation) -> Outcome:
    """Every service that the stack names (``mo:validation.lighthouse``; without it, all that are deployed)."""
    wanted = validation.settings.validation.lighthouse
    chosen = [key for key in validation.services if wanted is None or key in wanted]
    if not chosen:
        return Outcome(NAME, True, "no page is to be measured on this stack")
    here = Context(
        validation.stack,
        validation.root,
        validation.root,
        validation.folder,
        Commit(""),
        validation.settings.gates,
        validation.settings,
        at=validation.stack,
        site=validation.settings,
    )
    site = Site(validation.settings, dict(validation.services))
    try:
        browser.ready(here)
    except StepError as error:
        return Outcome(NAME, False, f"no page was measured: {error}")
    results = [_measured(here, site, key, validation.folder / NAME) for key in chosen]
    (validation.folder / "lighthouse.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return outcome(results)


def outcome(results: list[Result]) -> Outcome:
    """What the results mean."""
    short = [f"{result.service}: {', '.join(result.shortfalls)}" for result in results if result.shortfalls]
    unknown = [f"{result.service}: {result.problem}" for result in results if result.problem]
    good = len(results) - len(short) - len(unknown)
    details = {"thresholds": thresholds(), "pages": [asdict(result) for result in results]}
    return Outcome(
        NAME,
        not short and not unknown,
        "; ".join([f"{good} of {len(results)} pages reach their scores", *short, *unknown]),
        details,
    )


def thresholds() -> dict[str, float]:
    """The least score of each category, 0 to 100."""
    return {category: GATES[f"lighthouse-{category}"].threshold for category in reader.CATEGORIES}


def _measured(here: Context, site: Site, service: str, folder: Path) -> Result:
    url, target = site.url(service), folder / f"{service}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        browser.measure(here, url, target)
        with target.open("rb") as stream:
            figures = reader.read(target.name, stream).figures
    except StepError as error:
        return Result(service, url, problem=str(error))
    except OSError as error:
        return Result(service, url, problem=f"Lighthouse left no report: {error.strerror}")
    except ReportError as error:
        return Result(service, url, problem=f"its report {error.sentence}")
    scores = {category: figures[category].value for category in reader.CATEGORIES}
    short = tuple(
        f"{category} {scores[category]:g} of {least:g}" for category, least in thresholds().items() if scores[category] < least
    )
    return Result(service, url, scores, short)
