"""Where the host runs another release than the state says, or is at it: an engine was killed between a switch and its note of it, or in the
middle of one, whose host program may still work or have left the site closed.

No update mends that, for it finds nothing to change; the switch of the state's own release does: it waits for that program, and
recovers what a killed one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from components import facts as host_facts
from components.facts import FactsError, RunFacts
from operations import drifts, mending
from operations.deployment.here import Here
from operations.deployment.outcome import Outcome
from operations.drifts import Drift
from operations.problem import Problem


def found(here: Here, releases: Mapping[str, str]) -> list[Drift]:
    """The services of which another release is live on the host, or a switch was cut. Raises ``Problem`` where it cannot be asked."""
    deployed = {key: entry for key, entry in here.services.items() if key in releases}
    if not deployed:
        return []
    facts = here.facts({key: releases[key] for key in deployed})
    return drifts.astray(drifts.of(deployed, releases, facts), facts)


def seen(here: Here, releases: Mapping[str, str]) -> list[Drift]:
    """As ``found``, without asking databases: for a run that has nothing else to do."""
    deployed = {key: here.services[key].model_copy(update={"database": None}) for key in here.services if key in releases}
    if not deployed:
        return []
    try:
        facts = RunFacts(here.root)(host_facts.request(here.stack, here.settings.host.name, deployed, releases))
    except FactsError as error:
        raise Problem(str(error)) from None
    return drifts.astray(drifts.of(deployed, releases, facts), facts)


def ended(here: Here, releases: Mapping[str, str], astray: Sequence[Drift]) -> Outcome:
    """What came of the switch of each service in ``astray`` to what the state says."""
    wrong = mending.mend(here.root, here.stack, here.services, releases, astray, here.engine.resources(), here.out.print)
    here.forget_facts()
    names = sorted({drift.service for drift in astray})
    return Outcome("", not wrong, "; ".join(wrong) or f"{', '.join(names)}: as the state says", {"astray": names})


def put_right(here: Here, outcome: Outcome) -> Outcome:
    """The outcome of an update, once whatever of the host went astray was switched to what the state says."""
    if not outcome.ok:
        return outcome
    releases = here.live(anew=False).releases
    try:
        astray = found(here, releases)
    except Problem as problem:
        return replace(outcome, ok=False, summary=f"{outcome.summary}; whether the host runs it cannot be told: {problem}")
    if not astray:
        return outcome
    done = ended(here, releases, astray)
    return outcome if done.ok else replace(outcome, ok=False, summary=f"{outcome.summary}; {done.summary}")
