"""The policy packs of a run: what they are asked of each resource and of the stack, and how their answers are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import analyzer_pb2

from embedded.engine import urns
from embedded.engine.events import Events, masked
from embedded.engine.policy_pack import LEVEL_NAMES, Pack, PolicyError
from embedded.engine.steps import Goal
from embedded.model import Options, Project, ResourceState
from embedded.wire import from_struct, number, to_struct

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


class Policies:
    """All packs of a run."""

    def __init__(self, options: Options, project: Project, events: Events, preview: bool) -> None:
        self.events = events
        self._preview = preview
        self._project = project
        self.packs: list[Pack] = []
        self.failed = False
        try:
            self._load(options)
        except BaseException:
            self.close()
            raise

    def _load(self, options: Options) -> None:
        for pack in options.policy_packs:
            self.events.send({"policyLoadEvent": {}})
            self.packs.append(Pack(pack, self._project, self._preview))
        complaints: list[str] = []
        with ThreadPoolExecutor(max_workers=max(1, len(self.packs))) as pool:
            for found in pool.map(lambda pack: pack.connect(self._project, self._preview, self.events), self.packs):
                complaints += found
        for complaint in sorted(complaints):
            self.events.error(complaint)
        if complaints:
            raise PolicyError("validating policy config")

    @property
    def versions(self) -> dict[str, str]:
        """Name → version, as the summary has them."""
        return {f"{pack.name}|local|{pack.path}": pack.version for pack in self.packs}

    def close(self) -> None:
        for pack in self.packs:
            pack.close()

    def anticipate(self, state: ResourceState, goal: Goal, provider: ResourceState | None) -> None:
        """Asks the packs what ``judge`` will probably have to ask of them."""
        analysis = _request(state, goal, provider, skip_internal=True)
        for pack in self.packs:
            remediation = _request(state, goal, provider, skip_internal=False) if pack.remediates else None
            pack.anticipate(remediation, analysis)

    def judge(self, state: ResourceState, goal: Goal, provider: ResourceState | None) -> bool:
        """Lets the packs mend ``state.inputs``, then judge them. Whether the resource may be made."""
        for pack in self.packs:
            self._remediate(pack, state, goal, provider)
        allowed = True
        request = _request(state, goal, provider, skip_internal=True)
        for pack in self.packs:
            response = pack.analyze(request)
            if self._report(pack, response.diagnostics, state.urn):
                allowed = self._preview
            self._summary("policyAnalyzeSummaryEvent", pack, response, state.urn)
        return allowed

    def _remediate(self, pack: Pack, state: ResourceState, goal: Goal, provider: ResourceState | None) -> None:
        if pack.remediates:
            response = pack.remediate(_request(state, goal, provider, skip_internal=False))
        else:
            response = analyzer_pb2.RemediateResponse()
        for remediation in response.remediations:
            label = {**pack.label(), "policyName": remediation.policyName}
            if remediation.diagnostic:
                self._violation(state.urn, label, remediation.description, remediation.diagnostic, "advisory", "")
                continue
            before, after = state.inputs or {}, from_struct(remediation.properties)
            self.events.send(
                {
                    "policyRemediationEvent": {
                        "resourceUrn": state.urn,
                        "color": "never",
                        **label,
                        "before": masked(before),
                        "after": masked(after),
                    }
                }
            )
            state.inputs = after
        failed = {remediation.policyName for remediation in response.remediations}
        skipped = {item.policy_name for item in response.not_applicable}
        body = {"resourceUrn": state.urn, **pack.summary(analyzer_pb2.POLICY_TYPE_RESOURCE, failed, skipped)}
        self.events.send({"policyRemediateSummaryEvent": body})

    def judge_stack(self, run: Deployment) -> None:
        """Lets the packs judge all resources of the run together."""
        request = analyzer_pb2.AnalyzeStackRequest()
        for state in run.news.values():
            provider = run.generator.provider_state(state.provider)
            item = request.resources.add()
            item.MergeFrom(_resource(state, run.goals.get(state.urn), provider))
        for pack in self.packs:
            response = pack.analyze_stack(request)
            root = urns.make(
                self._project.stack, self._project.name, "", urns.ROOT_STACK_TYPE, f"{self._project.name}-{self._project.stack}"
            )
            for diagnostic in response.diagnostics:
                self._report(pack, [diagnostic], diagnostic.urn if diagnostic.urn in run.news else root)
            failed = {diagnostic.policyName for diagnostic in response.diagnostics}
            skipped = {item.policy_name for item in response.not_applicable}
            self.events.send({"policyAnalyzeStackSummaryEvent": pack.summary(analyzer_pb2.POLICY_TYPE_STACK, failed, skipped)})

    def _report(self, pack: Pack, diagnostics: Any, urn: str) -> bool:
        """Tells of violations. Whether one is mandatory."""
        refused = False
        for diagnostic in diagnostics:
            level = LEVEL_NAMES[diagnostic.enforcementLevel]
            level = "mandatory" if level == "remediate" else level
            refused |= level == "mandatory"
            label = {**pack.label(), "policyName": diagnostic.policyName}
            severity = pack.severity(diagnostic.policyName, diagnostic.severity)
            self._violation(urn, label, "", diagnostic.message, level, severity)
        self.failed |= refused
        return refused

    def _violation(self, urn: str, label: dict[str, Any], description: str, message: str, level: str, severity: str) -> None:
        text = self.events.masker.mask(message)
        body = {"resourceUrn": urn, "message": f"{text}\n", "color": "never", **label, "enforcementLevel": level}
        if severity:
            body["severity"] = severity
        self.events.send({"policyEvent": body})

    def _summary(self, kind: str, pack: Pack, response: Any, urn: str) -> None:
        failed = {diagnostic.policyName for diagnostic in response.diagnostics}
        skipped = {item.policy_name for item in response.not_applicable}
        body = pack.summary(analyzer_pb2.POLICY_TYPE_RESOURCE, failed, skipped)
        self.events.send({kind: {"resourceUrn": urn, **body}})


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


def _provider(provider: ResourceState | None) -> Any:
    if provider is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        type=provider.type,
        properties=to_struct(provider.inputs or {}, skip_internal=True),
        urn=provider.urn,
        name=urns.name_of(provider.urn),
    )


def _request(state: ResourceState, goal: Goal, provider: ResourceState | None, *, skip_internal: bool) -> Any:
    return analyzer_pb2.AnalyzeRequest(
        type=state.type,
        properties=to_struct(state.inputs or {}, skip_internal=skip_internal),
        urn=state.urn,
        name=urns.name_of(state.urn),
        options=_options(state, goal),
        provider=_provider(provider),
    )


def _resource(state: ResourceState, goal: Goal | None, provider: ResourceState | None) -> Any:
    needed = {
        key: analyzer_pb2.AnalyzerPropertyDependencies(urns=found) for key, found in state.property_dependencies.items() if found
    }
    return analyzer_pb2.AnalyzerResource(
        type=state.type,
        properties=to_struct(state.outputs or {}, skip_internal=True),
        urn=state.urn,
        name=urns.name_of(state.urn),
        options=_options(state, goal),
        provider=_provider(provider),
        parent=state.parent,
        dependencies=state.dependencies,
        propertyDependencies=needed,
    )
