"""Where the host runs another release than the state says: an engine was killed between a switch and its note of it.

No update mends that, for it finds nothing to change; the switch of the state's own release does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from operations import drifts, mending
from operations.deployment.here import Here
from operations.deployment.outcome import Outcome
from operations.drifts import Drift
from operations.problem import Problem


def found(here: Here, releases: Mapping[str, str]) -> list[Drift]:
    """The services of which another release is live on the host. Raises ``Problem`` where it cannot be asked."""
    deployed = {key: entry for key, entry in here.services.items() if key in releases}
    if not deployed:
        return []
    facts = here.facts({key: releases[key] for key in deployed})
    return drifts.elsewhere(drifts.of(deployed, releases, facts), facts)


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
    wrong = mending.mend(here.root, here.stack, here.services, releases, astray, here.engine.resources(), here.out.print)
    here.forget_facts()
    return replace(outcome, ok=not wrong, summary="; ".join([outcome.summary, *wrong]))
