"""Sites that a person has closed: they answer 503 as they are meant to, which is no reason to take anything back."""

from __future__ import annotations

from collections.abc import Mapping

from components import facts as host_facts
from components.facts import Facts, FactsError, RunFacts
from operations import maintenance, release_set
from operations.deployment.here import Here
from operations.deployment.outcome import Outcome
from operations.problem import Problem

NAME = "closed sites"
"""The phase in which the host is asked for them, before anything changes."""


def asked(here: Here, live: Mapping[str, str], meant: Mapping[str, str]) -> Facts:
    """What the host says of the services of either set. Without databases: nothing is asked of them, and one that is out of reach keeps
    nobody waiting. Raises ``Problem`` where it cannot be asked."""
    entries = {key: entry.model_copy(update={"database": None}) for key, entry in here.services.items() if key in {*live, *meant}}
    if not entries:
        return Facts()
    try:
        return RunFacts(here.root)(host_facts.request(here.stack, here.settings.host.name, entries, {**live, **meant}))
    except FactsError as error:
        raise Problem(str(error)) from None


def looked(here: Here, live: Mapping[str, str], meant: Mapping[str, str], facts: Facts | None = None) -> Outcome:
    """The closed sites, each told in a line of its own, which no validating phase asks; ``facts``: as ``asked`` gives them. Raises
    ``Problem`` where one is to be switched: the host would refuse that in the middle of the update."""
    entries = [key for key in here.services if key in {*live, *meant}]
    if not entries:
        return Outcome("", True, "no service is deployed", {"closed": []})
    facts = asked(here, live, meant) if facts is None else facts
    closed = [key for key in entries if facts.of(key).closed]
    if refused := sorted(set(closed) & set(release_set.changes(live, meant))):
        how = "; ".join(f"{key} is {maintenance.of(facts.of(key))}" for key in refused)
        opens = ", ".join(f"bin/mo maintenance off {key}" for key in refused)
        raise Problem(
            f"A person has closed {', '.join(refused)}, and a switch would open it; nothing was changed ({how}). Open it once visitors may "
            f"come ({opens}), then run this again; or name the other services (--only)."
        )
    told = [f"{key}: {maintenance.of(facts.of(key))}: not asked" for key in closed]
    for line in told:
        here.out.print(f"· {line}", style="yellow", markup=False)
    return Outcome("", True, "; ".join(told) or "none", {"closed": closed, "lines": told})


def lines(outcome: Outcome | None) -> list[str]:
    """What to know of each closed site that the phase found."""
    found = outcome.details.get("lines") if outcome else None
    return list(map(str, found)) if isinstance(found, list) else []


def of(outcome: Outcome | None) -> tuple[str, ...]:
    """The closed sites that the phase found; none where it has not run."""
    found = outcome.details.get("closed") if outcome else None
    return tuple(map(str, found)) if isinstance(found, list) else ()
