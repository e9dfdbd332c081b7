"""Policy packs: each in a process of its own, asked over Pulumi's ``Analyzer`` service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import yaml
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from embedded.engine import urns
from embedded.engine.events import Events, masked
from embedded.engine.policy_settings import LEVELS, Config, SettingsError, initial, read_settings, reconciled
from embedded.engine.program import Output
from embedded.engine.steps import Goal
from embedded.interpreters import python_of, server
from embedded.model import EngineError, Options, PolicyPack, Project, ResourceState
from embedded.wire import from_struct, number, to_struct

if TYPE_CHECKING:
    from embedded.engine.deployment import Deployment

_LEVEL_NAMES = dict(enumerate(LEVELS))
_SEVERITIES = ("", "low", "medium", "high", "critical")
_PATIENCE = 60.0  # seconds that a pack has to start
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class PolicyError(Exception):
    """A policy pack cannot be loaded or does not answer."""


@dataclass(frozen=True)
class Anticipated:
    """Questions about one resource that a pack was asked beforehand, and its answers; the second is missing where it would mend."""

    remediation: Any
    analysis: Any
    answers: Future[tuple[Any, Any]]


class Pack:
    """One policy pack under way."""

    def __init__(self, pack: PolicyPack, project: Project, preview: bool) -> None:
        self.path = pack.path
        self._config_file = pack.config_file
        directory = Path(project.directory, pack.path)
        described = self._description(directory)
        runtime = described.get("runtime")
        options = runtime.get("options") or {} if isinstance(runtime, dict) else {}
        name = runtime.get("name") if isinstance(runtime, dict) else runtime
        if name != "python":
            raise PolicyError(
                f'policy pack at "{pack.path}": runtime {name!r} is not supported by the embedded engine; use the Pulumi CLI'
            )
        self._version = str(described.get("version") or "")
        python, environment = python_of(options.get("virtualenv"), str(directory))
        environment |= {
            "PULUMI_PROJECT": project.name,
            "PULUMI_STACK": project.stack,
            "PULUMI_ORGANIZATION": project.organization,
            "PULUMI_DRY_RUN": "true" if preview else "false",
        }
        configuration, given = os.pipe()
        arguments = ["127.0.0.1:0", str(described.get("main") or ".")]
        try:
            self._process = server(python, environment, str(directory)).start(
                "pack", arguments, str(directory), environment, configuration
            )
        except EngineError as error:
            os.close(given)
            raise PolicyError(str(error)) from None
        finally:
            os.close(configuration)
        with contextlib.suppress(BrokenPipeError), os.fdopen(given, "wb") as pipe:
            pipe.write(json.dumps(project.config).encode())
        self._channel: grpc.Channel | None = None
        self.name = self.version = ""
        self.policies: list[Any] = []
        # One at a time, as the real engine asks: rules may keep what they saw.
        self._asking = threading.Lock()
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policies")
        self._anticipated: dict[str, Anticipated] = {}

    def _description(self, directory: Path) -> dict[str, Any]:
        problem = f'failed to load Pulumi policy project located at "{self.path}": '
        path = directory / "PulumiPolicy.yaml"
        try:
            described = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PolicyError(f"{problem}open {self.path}/PulumiPolicy.yaml: no such file or directory") from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise PolicyError(f"{problem}{error}") from None
        if not isinstance(described, dict) or "runtime" not in described:
            raise PolicyError(f"{problem}{path} must be a map with a `runtime`")
        return described

    def connect(self, project: Project, preview: bool, events: Events) -> list[str]:
        """Waits for the pack, learns its policies and hands it its settings. The complaints about the settings, if any."""
        timer = threading.Timer(_PATIENCE, self._kill)
        timer.start()
        line = self._process.stdout.readline().strip()
        timer.cancel()
        self._output = Output(self._process, events.diagnostic)
        if not line.isdigit():
            self._output.drain(timeout=2)
            raise PolicyError("policy pack not started: could not read policy pack port: io: read/write on closed pipe")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(line)}", options=_OPTIONS)
        self._stub: Any = analyzer_pb2_grpc.AnalyzerStub(self._channel)
        where = {"engine_address": "127.0.0.1:0", "root_directory": self.path, "program_directory": self.path}
        self._optional("Handshake", analyzer_pb2.AnalyzerHandshakeRequest(**where))
        self._optional(
            "ConfigureStack",
            analyzer_pb2.AnalyzerStackConfigureRequest(
                stack=project.stack,
                project=project.name,
                organization=project.organization,
                dry_run=preview,
                config=project.config,
                config_secret_keys=sorted(project.secret_keys),
            ),
        )
        info = self._ask("GetAnalyzerInfo", Empty())
        self.name, self.version = info.name, self._version or info.version
        self.policies = sorted(info.policies, key=lambda policy: policy.name)
        self._levels = {policy.name: _LEVEL_NAMES[policy.enforcementLevel] for policy in self.policies}
        if not info.supportsConfig:
            if self._config_file:
                raise PolicyError(f'policy pack "{self.name}" at "{self.path}" does not support config')
            return []
        return self._configure(info)

    def _configure(self, info: Any) -> list[str]:
        try:
            given = read_settings(self._config_file) if self._config_file else None
        except SettingsError as error:
            raise PolicyError(str(error)) from None
        defaults: dict[str, Config] = {}
        schemas: dict[str, dict[str, Any]] = {}
        for policy in self.policies:
            schema = MessageToDict(policy.configSchema)
            schemas[policy.name] = schema
            defaults[policy.name] = initial(self._levels[policy.name], schema)
        stored = {
            name: Config(_LEVEL_NAMES[config.enforcementLevel], from_struct(config.properties))
            for name, config in info.initialConfig.items()
        }
        configs, complaints = reconciled(defaults, schemas, stored, given)
        if complaints:
            return [f"validating policy config: {self.name} {self.version}  {complaint}" for complaint in complaints]
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, config in configs.items():
            request.policyConfig[name].enforcementLevel = LEVELS.index(config.level)
            request.policyConfig[name].properties.CopyFrom(to_struct(config.properties))
            if name in self._levels:
                self._levels[name] = config.level
        if configs:
            self._ask("Configure", request)
        return []

    def _optional(self, method: str, request: Any) -> None:
        try:
            getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise PolicyError(f"policy pack {self.path}: {error.details()}") from None

    def _ask(self, method: str, request: Any, problem: str = "") -> Any:
        try:
            return getattr(self._stub, method)(request)
        except grpc.RpcError as error:
            raise PolicyError(problem + str(error.details())) from None

    def anticipate(self, remediation: Any, analysis: Any) -> None:
        """Asks in the background what will probably be asked: to mend a resource (``None``: not needed), then to judge it."""

        def ask() -> tuple[Any, Any]:
            mended = None if remediation is None else self._remediate(remediation)
            return mended, None if mended is not None and mended.remediations else self._analyze(analysis)

        self._anticipated[analysis.urn] = Anticipated(remediation, analysis, self._ahead.submit(ask))

    def _remediate(self, request: Any) -> Any:
        with self._asking:
            return self._ask("Remediate", request, "failed to run remediation: ")

    def _analyze(self, request: Any) -> Any:
        with self._asking:
            return self._ask("Analyze", request, "failed to run policy: ")

    @property
    def remediates(self) -> bool:
        """Whether a policy of the pack is to mend resources; else its answer to ``Remediate`` is known without asking."""
        return "remediate" in self._levels.values()

    def remediate(self, request: Any) -> Any:
        found = self._anticipated.get(request.urn)
        if found is not None and found.remediation == request:
            return found.answers.result()[0]
        self._anticipated.pop(request.urn, None)
        return self._remediate(request)

    def analyze(self, request: Any) -> Any:
        found = self._anticipated.pop(request.urn, None)
        if found is not None and found.analysis == request and (answer := found.answers.result()[1]) is not None:
            return answer
        return self._analyze(request)

    def analyze_stack(self, request: Any) -> Any:
        return self._ask("AnalyzeStack", request)

    def summary(self, kind: int, failed: set[str], not_applicable: set[str]) -> dict[str, Any]:
        """Which policies of ``kind`` passed, and which failed."""
        passed = sorted(
            policy.name
            for policy in self.policies
            if policy.policy_type in (kind, analyzer_pb2.POLICY_TYPE_UNKNOWN)
            and self._levels[policy.name] != "disabled"
            and policy.name not in failed | not_applicable
        )
        body = self.label()
        if passed:
            body["passed"] = passed
        if failed:
            body["failed"] = sorted(failed)
        return body

    def label(self) -> dict[str, Any]:
        return {"policyPackName": self.name, "policyPackVersion": self.version, "policyPackVersionTag": self.version}

    def severity(self, name: str, given: int) -> str:
        own = next((policy.severity for policy in self.policies if policy.name == name), 0)
        return _SEVERITIES[given or own]

    def close(self) -> None:
        self._ahead.shutdown(wait=False, cancel_futures=True)
        if self._channel is not None:
            self._channel.close()
        self._kill()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


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
        for pack in self.packs:
            remediation = _request(state, goal, provider, skip_internal=False) if pack.remediates else None
            pack.anticipate(remediation, _request(state, goal, provider, skip_internal=True))

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
            level = _LEVEL_NAMES[diagnostic.enforcementLevel]
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
