"""The phases that look and change nothing: the window, the gates, and what is asked of the site after an update."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from catalog.settings import WindowSettings
from components import artefacts, judgement, window
from components.artefacts import ArtefactError
from components.judgement import JudgementError
from operations import verdicts
from operations.deployment.here import Here
from operations.deployment.outcome import Outcome, Validation
from operations.problem import Problem
from operations.report import FOLDER
from operations.validation import flows, smoke, visual
from operations.validation.smoke import Answer

SMOKE = smoke.NAME


def _lighthouse(what: Validation) -> Outcome:
    from operations.validation import lighthouse  # here and not above: the gates' tools and the build come with it

    return lighthouse.run(what)


PARTS: dict[str, Callable[[Validation], Outcome]] = {
    flows.NAME: flows.run,
    visual.NAME: visual.run,
    "lighthouse": _lighthouse,
}
"""What is asked after the smoke tests, in this order, where the stack has it (``mo:validation.parts``)."""
SLOW = tuple(PARTS)
"""The phases that ``--skip`` may name."""
JUDGED = {SMOKE, flows.NAME}
"""The validating phases without which no deployment is good; the others' findings are told (a Lighthouse shortfall by an issue)."""


def when(settings: WindowSettings, now: datetime | None = None) -> Outcome:
    """The deployment window. Raises ``Problem`` where the stack refuses to deploy now."""
    moment = now or datetime.now(UTC)
    if window.is_open(moment):
        return Outcome("window", True, "open")
    if settings.outside == "refuse":
        raise Problem(f"{window.sentence(moment)} The stack refuses to deploy then (mo:window.outside); nothing was changed.")
    if settings.outside == "warn":
        return Outcome("window", True, window.sentence(moment), {"open": False})
    return Outcome("window", True, "this stack has none", {"open": False})


def gates(here: Here, releases: Mapping[str, str]) -> Outcome:
    """The quality gates, judged as the program judges them; the verdicts are kept, to be quoted. Raises ``Problem`` where one is red."""
    try:
        commit = artefacts.commit_of(here.root, artefacts.wishes(here.root, here.services, releases))
        judged = judgement.of(here.stack, here.settings, here.root, commit, None)
    except (ArtefactError, JudgementError) as error:
        raise Problem(str(error)) from None
    if judged.failures:
        text = "\n".join(f"  {sentence}" for sentence in judged.failures)
        raise Problem(f"{_count(judged.failures, 'quality gate')} red, and nothing was changed:\n{text}")
    taken = verdicts.lines(judged.verdicts)
    waivers = verdicts.waived(taken)
    waived = f", {len(waivers)} by a waiver ({'; '.join(waivers)})" if waivers else ""
    details = {"waived": waivers, "notes": list(judged.notes), verdicts.KEY: verdicts.kept(taken)}
    return Outcome("gates", True, f"{len(here.settings.gates.required)} quality gates pass{waived}", details)


def _count(things: Collection[Any], name: str) -> str:
    return f"1 {name} is" if len(things) == 1 else f"{len(things)} {name}s are"


def validation(here: Here, releases: Mapping[str, str], run: str, closed: Collection[str] = ()) -> Validation:
    """What the validating phases may look at. ``releases``: what each service must serve; ``closed``: sites that a person has closed."""
    shut = tuple(key for key in closed if key in releases)
    asked = {key: entry for key, entry in here.entries().items() if key in releases and key not in shut}
    return Validation(here.root, here.stack, here.settings, asked, releases, here.root / FOLDER / run, shut)


def smoked(what: Validation) -> Outcome:
    """The smoke tests of all deployed services but those that a person has closed."""
    return smoke.run(what)


def parts(here: Here, skip: Iterable[str]) -> tuple[list[str], list[str]]:
    """The validating phases besides smoke that are to run, and those of the stack that the operator skips."""
    wanted = [name for name in PARTS if name in here.settings.validation.parts]
    return [name for name in wanted if name not in skip], [name for name in wanted if name in skip]


def answers(outcome: Outcome | None) -> dict[str, Answer]:
    """The smoke tests' answers in an outcome's details."""
    try:
        return {told["service"]: Answer(**told) for told in (outcome.details if outcome else {}).get("answers", ())}
    except (KeyError, TypeError):
        return {}
