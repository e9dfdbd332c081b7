"""The gRPC services that a program talks to: ``ResourceMonitor`` and ``Engine``."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from embedded.engine import urns
from embedded.engine.assets import Hasher
from embedded.engine.deployment import Deployment
from embedded.engine.positions import Positions
from embedded.engine.registry import default_inputs
from embedded.engine.steps import Alias, Answer, Goal, OutputsGoal, ReadGoal
from embedded.model import EngineError
from embedded.providers import PACKAGES
from embedded.providers.base import Provider, ProviderError
from embedded.values import PropertyMap, PropertyValue, Unknown, contains
from embedded.wire import WireError, from_struct, settle_outputs, to_struct

_FEATURES = ("secrets", "resourceReferences", "outputValues", "aliasSpecs", "deletedWith", "replaceWith")
_MONITOR_FEATURES = ("SECRETS", "RESOURCE_REFERENCES", "OUTPUT_VALUES", "ALIAS_SPECS", "DELETED_WITH", "REPLACE_WITH")
_LATE_FEATURES = ("INVOKE_DEPENDS_ON", "INVOKE_PARENT")
_RESULTS = {"success": resource_pb2.SUCCESS, "fail": resource_pb2.FAIL, "skip": resource_pb2.SKIP}
_YIELD = 0.005  # seconds: a component that the program registers at the same time, such as a gate, comes before a default provider
_AFTER = 0.001  # seconds: as by the real engine, those that wait for the same default provider come before the one that asked first
_SHUT_DOWN = "resource monitor shut down while waiting on step's done channel"


def _abort(context: Any, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")


class Refused(Exception):  # noqa: N818 - it names what is refused
    """Something that this engine does not do; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by the embedded engine; use the Pulumi CLI for this program")


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Turns calls of the program into goals of the deployment, and waits for their answers."""

    def __init__(self, run: Deployment) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._open: set[Answer] = set()
        self._closed = False
        self._goals: dict[str, Goal] = {}
        self._component_providers: dict[str, dict[str, str]] = {}
        self._settled: dict[str, bool] = {}
        self._children: dict[str, list[str]] = {}
        self._defaults: dict[tuple[str, str], str] = {}
        self._defaults_lock = threading.Lock()
        self._released = threading.Event()
        self._waiting = False
        self._denied = _denied_packages(run)
        self._positions = Positions(run.project.directory)
        self._hasher = Hasher(run.project.directory)

    def close(self) -> None:
        """Ends all calls that wait: the program is to stop."""
        with self._lock:
            self._closed = True
            for answer in self._open:
                answer.abort(_SHUT_DOWN)
        self._released.set()

    def release(self) -> None:
        """Lets the program end after ``SignalAndWaitForShutdown``."""
        self._released.set()

    # What the engine can do

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        project = self._run.project
        names = [f"RESOURCE_MONITOR_FEATURE_{name}" for name in (*_MONITOR_FEATURES, *_LATE_FEATURES)]
        return resource_pb2.DeploymentInfo(
            project=project.name,
            stack=project.stack,
            organization=project.organization,
            config=project.config,
            configSecretKeys=sorted(project.secret_keys),
            dryRun=self._run.preview,
            parallel=self._run.parallel,
            supportedFeatures=[resource_pb2.ResourceMonitorFeature.Value(name) for name in names],
        )

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:
        with self._lock:
            again, self._waiting = self._waiting, True
        if not again:
            self._run.finished(None)
            self._released.wait()
        return Empty()

    def Call(self, request: Any, context: Any) -> Any:
        self._refuse(context, f"a method call ({request.tok})")

    def RegisterPackage(self, request: Any, context: Any) -> Any:
        self._refuse(context, f"a parameterized package ({request.name})")

    def RegisterStackTransform(self, request: Any, context: Any) -> Any:
        self._refuse(context, "a stack transform")

    def RegisterStackInvokeTransform(self, request: Any, context: Any) -> Any:
        self._refuse(context, "a stack invoke transform")

    def RegisterResourceHook(self, request: Any, context: Any) -> Any:
        self._refuse(context, "a resource hook")

    def RegisterErrorHook(self, request: Any, context: Any) -> Any:
        self._refuse(context, "an error hook")

    def _refuse(self, context: Any, what: str, urn: str = "") -> NoReturn:
        message = str(Refused(what))
        self._run.finished(message)
        _abort(context, grpc.StatusCode.UNIMPLEMENTED, message)

    # Resources

    def RegisterResource(self, request: Any, context: Any) -> Any:
        for what, used in (
            (f"a component of a provider ({request.type})", request.remote),
            ("a transform", bool(request.transforms)),
            ("a resource hook", request.HasField("hooks") and any(names for _, names in request.hooks.ListFields())),
            ("replacement_trigger", request.HasField("replacement_trigger")),
            ("env_var_mappings", bool(request.envVarMappings)),
            ("hide_diffs", bool(request.hideDiffs)),
            ("a parameterized package", bool(request.packageRef)),
        ):
            if used:
                self._refuse(context, what)
        self._run.announce(request.parent, request.type, request.name)
        try:
            goal = self._goal(request, context)
        except (WireError, ValueError) as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = self._wait(goal, context)
        if answer.result != "success" and not request.supportsResultReporting:
            _abort(context, grpc.StatusCode.INTERNAL, "resource registration failed")
        state = answer.state
        assert state is not None
        self._goals[state.urn] = goal
        if not goal.custom:
            self._component_providers[state.urn] = goal.providers
        self._settle(state.urn, goal.parent, custom=goal.custom, known=bool(state.id))
        outputs = dict(state.outputs or {}) if goal.custom else {}
        if not request.supportsPartialValues:
            outputs = {key: value for key, value in outputs.items() if not contains(value, Unknown)}
        return resource_pb2.RegisterResourceResponse(
            urn=state.urn,
            id=state.id,
            object=to_struct(outputs, keep_secrets=request.acceptSecrets, keep_resources=request.acceptResources),
            result=_RESULTS[answer.result],
            unknown=answer.unknown,
        )

    def _goal(self, request: Any, context: Any) -> Goal:
        parent = self._goals.get(request.parent)
        custom, type_ = request.custom, request.type
        if custom and type_.count(":") != 2:
            raise ValueError(f"Type '{type_}' is not a valid type token (must have format '*:*:*')")
        raw = from_struct(request.object, hash_assets=self._hasher.complete)
        dependencies = list(dict.fromkeys(request.dependencies))
        if request.propertyDependencies:
            needed = {key: list(dict.fromkeys(found.urns)) for key, found in request.propertyDependencies.items()}
        else:
            needed = {key: list(dependencies) for key in raw}
        inputs: PropertyMap = {}
        for key, value in raw.items():
            named: set[str] = set()
            inputs[key] = settle_outputs(value, named)
            needed[key] = [*needed.get(key, []), *sorted(named - set(needed.get(key, [])))]
        self._run.events.masker.add_secrets(inputs)
        position, trace = self._positions.of(request)
        providers = dict(request.providers)
        if not custom:
            providers = {**self._component_providers.get(request.parent, {}), **providers}
        goal = Goal(
            type=type_,
            name=request.name,
            custom=custom,
            inputs=inputs,
            parent=request.parent,
            protect=_optional(request, "protect", parent.protect if parent else None),
            dependencies=dependencies,
            property_dependencies=needed,
            delete_before_replace=(
                request.deleteBeforeReplace if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace else None
            ),
            ignore_changes=list(request.ignoreChanges),
            additional_secret_outputs=list(request.additionalSecretOutputs),
            aliases=[Alias(urn=urn) for urn in request.aliasURNs] + [_alias(alias) for alias in request.aliases],
            import_id=request.importId,
            custom_timeouts=_timeouts(request.customTimeouts) if request.HasField("customTimeouts") else None,
            replace_on_changes=list(request.replaceOnChanges),
            retain_on_delete=_optional(request, "retainOnDelete", parent.retain_on_delete if parent else None),
            deleted_with=request.deletedWith or (parent.deleted_with if parent else ""),
            replace_with=list(request.replace_with),
            source_position=position,
            stack_trace=trace,
            providers=providers,
        )
        if custom and urns.is_provider_type(type_):
            version = request.version or PACKAGES.get(urns.provider_package(type_), "")
            if version:
                goal.inputs["version"] = version
            goal.inputs.setdefault("__internal", {})
        elif custom:
            given = request.provider
            if not given and parent is not None and parent.provider:
                inherited = urns.split_reference(parent.provider)[0]
                if urns.provider_package(urns.type_of(inherited)) == urns.package_of(type_):
                    given = parent.provider
            goal.provider = self._provider(given, providers, request.parent, urns.package_of(type_), request.version, context)
        return goal

    def ReadResource(self, request: Any, context: Any) -> Any:
        self._run.announce(request.parent, request.type, request.name)
        package = urns.package_of(request.type)
        provider = request.provider or self._default(package, request.version, context)
        if provider.startswith("denied:"):
            _abort(
                context,
                grpc.StatusCode.UNKNOWN,
                f"Default provider for '{package}' disabled. '{request.type}' must use an explicit provider.",
            )
        position, trace = self._positions.of(request)
        try:
            inputs = {key: settle_outputs(value, set()) for key, value in from_struct(request.properties).items()}
        except WireError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        goal = ReadGoal(
            id=request.id,
            type=request.type,
            name=request.name,
            inputs=inputs,
            provider=provider,
            parent=request.parent,
            dependencies=list(dict.fromkeys(request.dependencies)),
            additional_secret_outputs=list(request.additionalSecretOutputs),
            source_position=position,
            stack_trace=trace,
        )
        answer = self._wait(goal, context)
        state = answer.state
        if answer.result != "success" or state is None:
            _abort(context, grpc.StatusCode.INTERNAL, "resource read failed")
        self._settle(state.urn, goal.parent, custom=True, known=bool(state.id))
        outputs = to_struct(state.outputs or {}, keep_secrets=request.acceptSecrets, keep_resources=request.acceptResources)
        return resource_pb2.ReadResourceResponse(urn=state.urn, properties=outputs)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        try:
            raw = from_struct(request.outputs, hash_assets=self._hasher.complete)
        except WireError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        outputs = {key: settle_outputs(value, set()) for key, value in raw.items()}
        self._run.events.masker.add_secrets(outputs)
        self._wait(OutputsGoal(request.urn, outputs), context)
        return Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        package = urns.package_of(request.tok)
        reference = self._provider(request.provider, {}, request.parent, package, request.version, context)
        provider: Provider | None = self._run.registry.get(reference)
        if provider is None:
            denied = f"Default provider for '{package}' disabled. '{request.tok}' must use an explicit provider."
            message = denied if reference.startswith("denied:") else f"unknown provider '{reference}' -> '{package}'"
            _abort(context, grpc.StatusCode.UNKNOWN, f"Invoke: {message}")
        if any(self._unresolved(urn) for urn in request.dependsOn):
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        try:
            raw = from_struct(request.args, hash_assets=self._hasher.complete)
            args = {key: settle_outputs(value, set()) for key, value in raw.items()}
            self._run.events.masker.add_secrets(args)
            result, failures = provider.invoke(request.tok, args)
        except (ProviderError, EngineError, WireError) as error:
            _abort(
                context,
                grpc.StatusCode.UNKNOWN,
                self._run.events.masker.mask(f"invocation of {request.tok} returned an error: {error}"),
            )
        self._run.events.masker.add_secrets(result)
        keep = request.acceptResources or request.tok == "pulumi:pulumi:getResource"
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result, keep_resources=keep))
        for failure in failures:
            response.failures.add(property=failure.property, reason=failure.reason)
        return response

    # Providers

    def _provider(self, given: str, own: dict[str, str], parent: str, package: str, version: str, context: Any) -> str:
        inherited = self._component_providers.get(parent, {}).get(package, "")
        return given or own.get(package) or inherited or self._default(package, version, context)

    def _default(self, package: str, version: str, context: Any) -> str:
        """The reference of the package's default provider, which is registered when it is first needed."""
        version = version or PACKAGES.get(package, "")
        if package != "pulumi" and ("*" in self._denied or package in self._denied):
            return f"denied:{package}"
        first = False
        with self._defaults_lock:
            known = self._defaults.get((package, version))
            if known is None:
                first = True
                time.sleep(_YIELD)
                name = "default" + ("_" + re.sub(r"[^0-9A-Za-z]", "_", version) if version else "")
                goal = Goal(
                    type=urns.provider_type(package),
                    name=name,
                    custom=True,
                    inputs=default_inputs(self._run.project, package, version),
                )
                answer = self._wait(goal, context)
                if answer.state is None or answer.result != "success":
                    _abort(context, grpc.StatusCode.INTERNAL, f"the default provider of {package} could not be registered")
                known = self._defaults[package, version] = f"{answer.state.urn}::{answer.state.id}"
        if first:
            time.sleep(_AFTER)
        return known

    # Waiting

    def _wait(self, goal: Goal | ReadGoal | OutputsGoal, context: Any) -> Answer:
        answer = goal.answer
        with self._lock:
            if self._closed:
                answer.abort(_SHUT_DOWN)
            self._open.add(answer)
        if answer.aborted is None:
            self._run.request(goal)
            answer.wait()
        with self._lock:
            self._open.discard(answer)
        if answer.aborted is not None:
            _abort(context, grpc.StatusCode.UNAVAILABLE, answer.aborted)
        return answer

    def _settle(self, urn: str, parent: str, *, custom: bool, known: bool) -> None:
        with self._lock:
            self._settled[urn] = known or not custom
            if parent:
                self._children.setdefault(parent, []).append(urn)

    def _unresolved(self, urn: str) -> bool:
        """Whether ``urn``, or a resource below it where it is a component, is not made yet (in a preview)."""
        frontier = [urn]
        while frontier:
            current = frontier.pop()
            if not self._settled.get(current, False):
                return True
            if current in self._component_providers:
                frontier += self._children.get(current, ())
        return False


def _optional(request: Any, name: str, inherited: bool | None) -> bool | None:
    return bool(getattr(request, name)) if request.HasField(name) else inherited


def _alias(alias: Any) -> Alias:
    if alias.WhichOneof("alias") == "urn":
        return Alias(urn=alias.urn)
    spec = alias.spec
    return Alias(
        name=spec.name, type=spec.type, stack=spec.stack, project=spec.project, parent=spec.parentUrn, no_parent=spec.noParent
    )


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> float:
    """Seconds of a Go duration such as ``1h30m``. Raises ``ValueError``."""
    parts = re.findall(r"([0-9]*\.?[0-9]+)(h|ms|m|us|µs|ns|s)", text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"unable to parse customTimeout Value {text}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _timeouts(timeouts: Any) -> dict[str, float] | None:
    found = {
        name: duration(getattr(timeouts, name)) for name in ("create", "update", "delete", "read") if getattr(timeouts, name, "")
    }
    return found or None


def _denied_packages(run: Deployment) -> set[str]:
    text = run.project.config.get("pulumi:disable-default-providers", "")
    if not text:
        return set()
    try:
        listed: PropertyValue = json.loads(text)
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise ValueError("it must be a list of strings")
    except ValueError as error:
        raise EngineError(f"Failed to parse {text}: {error}") from None
    return {item.strip() for item in listed}
