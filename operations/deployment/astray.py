"""Where the host runs another release than the state says, or is at it: an engine was killed between a switch and its note of it, or in the
middle of one, whose host program may still work or have left the site closed.

No update mends that, for it finds nothing to change; the switch of the state's own release does: it waits for that program, and
recovers what a killed one left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from components.facts import Facts
from operations import drifts, mending
from operations.deployment.here import Here
from operations.deployment.outcome import Outcome
from operations.drifts import Drift
from operations.problem import Problem
from operations.progress import Progress


def found(here: Here, releases: Mapping[str, str]) -> list[Drift]:
    """The services of which another release is live on the host, or a switch was cut. Raises ``Problem`` where it cannot be asked."""
    deployed = {key: entry for key, entry in here.services.items() if key in releases}
    if not deployed:
        return []
    facts = here.facts({key: releases[key] for key in deployed})
    return drifts.astray(drifts.of(deployed, releases, facts), facts)


@dataclass(frozen=True)
class Beforehand:
    """What drifted before an update, of the services whose release it does not change: the engine would find nothing to do for them, and
    what they serve would look like a failure of the update. ``settled``: those that the update is about, which are switched to what the
    state says; ``left``: the others, which are left as they are, and not asked."""

    settled: tuple[Drift, ...] = ()
    left: tuple[Drift, ...] = ()
    releases: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> dict[str, str]:
        """Service → what to know of it before the update."""
        told = {
            one.service: f"{one.service}: {one.what}; this deployment makes {self.releases[one.service]} live again"
            for one in self.settled
        }
        apart = "it is no part of this deployment, and not asked (bin/mo drift --mend)"
        return {**told, **{one.service: f"{one.service}: {one.what}; {apart}" for one in self.left}}

    def shown(self, progress: Progress) -> None:
        """Puts these lines in the place of the plans that the program made of the difference: no update carries those out."""
        for service, line in self.lines().items():
            if service in progress.services:
                progress.services[service].plan[:] = [line]


def beforehand(here: Here, live: Mapping[str, str], meant: Mapping[str, str], only: Collection[str], facts: Facts) -> Beforehand:
    """``live``: by the state; ``meant``: what the update makes of it; ``only``: the services that it is about (all where empty); ``facts``:
    what the host told of them."""
    kept = {key: release for key, release in live.items() if meant.get(key) == release}
    deployed = {key: here.services[key].model_copy(update={"database": None}) for key in here.services if key in kept}
    known = [one for one in drifts.astray(drifts.of(deployed, kept, facts), facts) if one.service in facts.services]
    within = [one for one in known if not only or one.service in only]
    return Beforehand(tuple(within), tuple(one for one in known if one not in within), kept)


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
