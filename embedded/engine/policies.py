"""The policy packs of a run: what they are asked of each resource and of the stack, and how their answers are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import analyzer_pb2

from embedded.engine import urns
from embedded.engine.events import Events, masked
from embedded.engine.policy_pack import LEVEL_NAMES, Pack, PolicyError
from embedded.engine.policy_questions import Question, Questions
from embedded.engine.steps import Goal
from embedded.model import Options, Project, ResourceState
from embedded.wire import from_struct

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment


class Policies:
    """All packs of a run."""

    def __init__(self, options: Options, project: Project, events: Events, preview: bool) -> None:
        self.events = events
        self._preview = preview
        self._project = project
        self._questions = Questions()
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
        question = self._questions.of(state, goal, provider)
        for pack in self.packs:
            pack.inquiry.anticipate(question)

    def judge(self, state: ResourceState, goal: Goal, provider: ResourceState | None) -> bool:
        """Lets the packs mend ``state.inputs``, then judge them. Whether the resource may be made."""
        for pack in self.packs:
            self._remediate(pack, state, self._questions.of(state, goal, provider))
        allowed = True
        question = self._questions.of(state, goal, provider)
        for pack in self.packs:
            response = pack.inquiry.analyze(question)
            if self._report(pack, response.diagnostics, state.urn):
                allowed = self._preview
            self._summary("policyAnalyzeSummaryEvent", pack, response, state.urn)
        return allowed

    def _remediate(self, pack: Pack, state: ResourceState, question: Question) -> None:
        response = pack.inquiry.remediate(question) or analyzer_pb2.RemediateResponse()
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
        request = self._questions.of_stack(
            (state, run.goals.get(state.urn), run.generator.provider_state(state.provider)) for state in run.news.values()
        )
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
