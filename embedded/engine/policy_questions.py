"""What policy packs are asked of a resource and of the stack, as messages of the ``Analyzer`` service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from embedded.engine import paths, urns
from embedded.engine.steps import Goal
from embedded.model import ResourceState
from embedded.values import PropertyMap
from embedded.wire import number, to_struct


@dataclass
class Question:
    """One resource as it is declared. ``options`` and ``provider`` are parts of the messages."""

    type: str
    urn: str
    inputs: PropertyMap
    options: Any
    provider: Any

    @cached_property
    def remediation(self) -> Any:
        """To mend it."""
        return self._request(skip_internal=False)

    @cached_property
    def analysis(self) -> Any:
        """To judge it."""
        return self._request(skip_internal=True)

    def _request(self, *, skip_internal: bool) -> Any:
        return analyzer_pb2.AnalyzeRequest(
            type=self.type,
            properties=to_struct(self.inputs, skip_internal=skip_internal),
            urn=self.urn,
            name=urns.name_of(self.urn),
            options=self.options,
            provider=self.provider,
        )


class Questions:
    """Makes the questions of a run; the same one again for a resource that is as it was when it was asked about. From any thread."""

    def __init__(self) -> None:
        self._known: dict[str, Question] = {}
        self._providers: dict[str, tuple[PropertyMap | None, Any]] = {}

    def of(self, state: ResourceState, goal: Goal, provider: ResourceState | None) -> Question:
        """The question about ``state``, whose inputs nobody changes in place."""
        question = Question(state.type, state.urn, state.inputs or {}, _options(state, goal), self._provider(provider))
        known = self._known.get(state.urn)
        # Both: for Python 1 is True, and for the engine two assets of one hash are the same.
        if known is not None and known == question and paths.same(known.inputs, question.inputs):
            return known
        self._known[state.urn] = question
        return question

    def of_stack(self, resources: Iterable[tuple[ResourceState, Goal | None, ResourceState | None]]) -> Any:
        """The question about all resources of the run, each with its goal and provider."""
        request = analyzer_pb2.AnalyzeStackRequest()
        for state, goal, provider in resources:
            request.resources.add().MergeFrom(self._resource(state, goal, provider))
        return request

    def _provider(self, provider: ResourceState | None) -> Any:
        if provider is None:
            return None
        inputs, message = self._providers.get(provider.urn, (None, None))
        if message is None or inputs is not provider.inputs:
            message = analyzer_pb2.AnalyzerProviderResource(
                type=provider.type,
                properties=to_struct(provider.inputs or {}, skip_internal=True),
                urn=provider.urn,
                name=urns.name_of(provider.urn),
            )
            self._providers[provider.urn] = provider.inputs, message
        return message

    def _resource(self, state: ResourceState, goal: Goal | None, provider: ResourceState | None) -> Any:
        needed = {
            key: analyzer_pb2.AnalyzerPropertyDependencies(urns=found)
            for key, found in state.property_dependencies.items()
            if found
        }
        return analyzer_pb2.AnalyzerResource(
            type=state.type,
            properties=to_struct(state.outputs or {}, skip_internal=True),
            urn=state.urn,
            name=urns.name_of(state.urn),
            options=_options(state, goal),
            provider=self._provider(provider),
            parent=state.parent,
            dependencies=state.dependencies,
            propertyDependencies=needed,
        )


def _options(state: ResourceState, goal: Goal | None) -> Any:
    before = goal.delete_before_replace if goal is not None else None
    timeouts = {key: number(value) for key, value in (state.custom_timeouts or {}).items() if key != "read"}
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=state.protect,
        ignoreChanges=state.ignore_changes,
        deleteBeforeReplace=bool(before),
        deleteBeforeReplaceDefined=before is not None,
        additionalSecretOutputs=state.additional_secret_outputs,
        aliases=state.aliases,
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**timeouts),
        parent=state.parent,
    )
