"""What waits longest for the end of the run begins first."""

from __future__ import annotations

from embedded.engine.ranking import Ranking
from embedded.engine.steps import Step
from tests.unit.embedded.engine.test_graph import state


def test_the_longest_chain_known_by_the_state_goes_first_and_what_has_come_furthest_in_it() -> None:
    idp, api, page, main, front = (
        state("idp"), state("api", needs=("idp",)), state("page", needs=("api",)), state("main"), state("front", needs=("main",)),
    )  # fmt: skip
    ranking = Ranking([idp, main, api, front, page])
    ranks = {one.urn.rpartition("::")[2]: ranking.of([Step("update", one, one)], 1) for one in (main, idp, front, api, page)}
    assert ranks == {"main": (2, 1), "idp": (3, 1), "front": (2, 2), "api": (3, 2), "page": (3, 3)}
    assert sorted(ranks, key=lambda name: ranks[name], reverse=True) == ["page", "api", "idp", "front", "main"]


def test_what_changes_nothing_makes_no_chain_longer() -> None:
    component = state("component", custom=False)
    first, second = state("first", needs=("component",)), state("second", needs=("first",))
    ranking = Ranking([component, first, second])
    assert ranking.of([Step("same", component, component)], 0) == (2, 0)
    assert ranking.of([Step("same", first, first)], 0) == (1, 0)
    assert ranking.of([Step("update", second, second)], 1) == (1, 1)


def test_without_a_state_what_has_come_furthest_goes_first_and_a_deletion_waits_for_nobody() -> None:
    ranking = Ranking([])
    assert ranking.of([Step("create", None, state("a"))], 1) == (1, 1)
    assert ranking.of([Step("create", None, state("b", needs=("a",)))], 1) == (2, 2)
    old, user = state("old"), state("user", needs=("old",))
    assert Ranking([old, user]).of([Step("delete", old, None)], 1) == (1, 1)
