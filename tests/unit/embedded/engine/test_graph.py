"""The dependency graph: who is deleted before whom, in time that grows with the graph."""

from __future__ import annotations

import time

from embedded.engine.graph import Graph, layers
from embedded.model import ResourceState


def state(name: str, *, needs: tuple[str, ...] = (), parent: str = "", custom: bool = True, provider: str = "") -> ResourceState:
    return ResourceState(
        urn=f"urn:pulumi:s::p::t::{name}",
        type="t",
        custom=custom,
        parent=f"urn:pulumi:s::p::t::{parent}" if parent else "",
        dependencies=[f"urn:pulumi:s::p::t::{need}" for need in needs],
        provider=f"urn:pulumi:s::p::t::{provider}::1" if provider else "",
    )


def names(groups: list[list[ResourceState]]) -> list[list[str]]:
    return [[item.urn.rpartition("::")[2] for item in group] for group in groups]


def test_dependents_go_first_and_providers_last() -> None:
    resources = [state("prov"), state("a", provider="prov"), state("b", needs=("a",), provider="prov"), state("c", provider="prov")]
    assert names(layers(resources, Graph(resources))) == [["b"], ["a", "c"], ["prov"]]


def test_a_dependency_on_a_component_is_one_on_its_children() -> None:
    resources = [state("comp", custom=False), state("child", parent="comp"), state("user", needs=("comp",))]
    assert names(layers(resources, Graph(resources))) == [["user"], ["child"], ["comp"]]


def test_dependents_are_found_through_others() -> None:
    resources = [state("a"), state("b", needs=("a",)), state("c", needs=("b",)), state("d"), state("e", parent="a")]
    graph = Graph(resources)
    assert names([graph.depending_on(resources[0], lambda urn: False, children=False)]) == [["b", "c"]]
    assert names([graph.depending_on(resources[0], lambda urn: False, children=True)]) == [["b", "c", "e"]]
    assert graph.transitive_dependencies(resources[2]) == {0, 1}


def test_a_chain_of_five_thousand_takes_no_square_time() -> None:
    resources = [state("n0"), *(state(f"n{i}", needs=(f"n{i - 1}",)) for i in range(1, 5000))]
    began = time.perf_counter()
    assert len(layers(resources, Graph(resources))) == 5000
    assert time.perf_counter() - began < 3
