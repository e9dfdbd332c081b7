"""A policy pack: a process of its own, asked over Pulumi's ``Analyzer`` service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from embedded.engine.events import Events
from embedded.engine.policy_inquiry import Inquiry
from embedded.engine.policy_settings import LEVELS, Config, SettingsError, initial, read_settings, reconciled
from embedded.engine.program import Output
from embedded.interpreters import python_of, server
from embedded.model import EngineError, PolicyPack, Project
from embedded.sockets import PrivateSocket
from embedded.wire import from_struct, to_struct

LEVEL_NAMES = dict(enumerate(LEVELS))
_SEVERITIES = ("", "low", "medium", "high", "critical")
_PATIENCE = 60.0  # seconds that a pack has to start
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class PolicyError(Exception):
    """A policy pack cannot be loaded or does not answer."""


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
        try:
            self._socket = PrivateSocket()
        except EngineError as error:
            raise PolicyError(str(error)) from None
        configuration, given = os.pipe()
        # The first is an engine's address, for log messages that a pack never sends; the last is where it is to listen.
        arguments = ["127.0.0.1:0", str(described.get("main") or "."), self._socket.address]
        try:
            self._process = server(python, environment, str(directory)).start(
                "pack", arguments, str(directory), environment, configuration
            )
        except EngineError as error:
            os.close(given)
            self._socket.close()
            raise PolicyError(str(error)) from None
        finally:
            os.close(configuration)
        with contextlib.suppress(BrokenPipeError), os.fdopen(given, "wb") as pipe:
            pipe.write(json.dumps(project.config).encode())
        self._channel: grpc.Channel | None = None
        self.name = self.version = ""
        self.policies: list[Any] = []
        self.inquiry = Inquiry(
            lambda request: self._ask("Remediate", request, "failed to run remediation: "),
            lambda request: self._ask("Analyze", request, "failed to run policy: "),
        )
        self._summaries: dict[tuple[int, frozenset[str], frozenset[str]], dict[str, Any]] = {}

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
        # Not the port that it prints: ``launch.py`` has it listen here, and one that does not is not asked.
        self._channel = grpc.insecure_channel(self._socket.address, options=_OPTIONS)
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
        self._levels = {policy.name: LEVEL_NAMES[policy.enforcementLevel] for policy in self.policies}
        if not info.supportsConfig and self._config_file:
            raise PolicyError(f'policy pack "{self.name}" at "{self.path}" does not support config')
        complaints = self._configure(info) if info.supportsConfig else []
        self.inquiry.remediates = "remediate" in self._levels.values()
        return complaints

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
            name: Config(LEVEL_NAMES[config.enforcementLevel], from_struct(config.properties))
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

    def analyze_stack(self, request: Any) -> Any:
        return self._ask("AnalyzeStack", request)

    def summary(self, kind: int, failed: set[str], not_applicable: set[str]) -> dict[str, Any]:
        """Which policies of ``kind`` passed, and which failed."""
        question = kind, frozenset(failed), frozenset(not_applicable)
        if question not in self._summaries:
            self._summaries[question] = self._summary(kind, failed, not_applicable)
        return self._summaries[question]

    def _summary(self, kind: int, failed: set[str], not_applicable: set[str]) -> dict[str, Any]:
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
        self.inquiry.close()
        if self._channel is not None:
            self._channel.close()
        self._kill()
        self._socket.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
