"""The program under Pulumi's mocks: every registration is recorded, nothing is run."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import ResourceRegistrationFailed, run_pulumi_func

from catalog import manifest as manifests
from catalog import reader, settings_file
from catalog.manifest import File, Manifest
from catalog.settings_file import Loaded
from components.existing_databases import Look
from components.facts import Facts
from components.judgement import Judgement
from components.platform import Platform, PlatformArgs
from components.trust import Verify

COMMIT = "c" * 40
FEW = frozenset({"votes", "docs", "crm", "games", "api", "idp", "frontend"})
"""A catalogue of these runs much faster than the whole one: files, PHP, processes, every engine, and ``after``."""
RAW: dict[str, Any] = {
    "domain": "example.org",
    "host": {
        "name": "web1",
        "address": "192.0.2.1",
        "user": "u",
        "root": "/srv/web",
        "hostKeys": ["ssh-ed25519 AAAA"],
        "socksPort": 1080,
    },
    "servers": {
        "plesk": {
            "engine": "mariadb",
            "host": "127.0.0.1",
            "port": 3306,
            "provision": "managed",
            "reach": "host",
            "adminUser": "admin",
        },
        "external-mariadb": {
            "engine": "mariadb",
            "host": "192.0.2.2",
            "port": 3306,
            "provision": "managed",
            "reach": "direct",
            "adminUser": "admin",
        },
        "external-postgresql": {
            "engine": "postgresql",
            "host": "192.0.2.3",
            "port": 5432,
            "provision": "managed",
            "reach": "direct",
            "adminUser": "admin",
        },
    },
    "github": {"owner": "acme", "repository": "site", "environment": "sandbox"},
    "gates": {"required": ["unit-tests"]},
    "pleskAdminPassword": "canary-plesk",
    "externalMariadbAdminPassword": "canary-maria",
    "externalPostgresqlAdminPassword": "canary-postgres",
    "githubToken": "canary-token",
    "sshPrivateKey": "canary-key",
    "smtpUser": "canary-smtp-user",
    "smtpPassword": "canary-smtp",
}
CANARIES = [value for value in RAW.values() if isinstance(value, str) and value.startswith("canary-")]


def loaded(project: Path, **changes: Any) -> Loaded:
    """The settings of a test stack; ``changes``: top-level keys, ``None`` takes one out."""
    raw = {**RAW, **changes}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in raw.items() if v is not None}
    return settings_file.load(texts, project, "sandbox")


def artefact(
    service: str, *, content: str = "1", migrations: tuple[str, ...] = (), built_at: str = "2026-01-02T00:00:00Z"
) -> Manifest:
    """A manifest with two files, one of them dependent on ``content``."""
    digest = f"{ord(content):02x}" * 32
    files = (
        File(path="about.html", size=7, sha256="a" * 64, mode="644"),
        File(path="index.html", size=len(content) + 10, sha256=digest, mode="644"),
    )
    release = manifests.release_id(files, (), {})
    return Manifest(service=service, release=release, files=files, migrations=migrations, commit=COMMIT, built_at=built_at)


def put(project: Path, manifest: Manifest) -> Manifest:
    """Writes an artefact's manifest into ``dist/``."""
    folder = project / "dist" / manifest.service
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return manifest


@dataclass
class Registration:
    """One resource as the engine would see it. ``after``: names of what it depends on."""

    type: str
    name: str
    inputs: dict[str, Any]
    options: Any
    after: set[str] = field(default_factory=set)

    @property
    def custom(self) -> bool:
        """Whether a provider makes it; providers count, components do not."""
        return bool(self.options.custom)

    @property
    def request(self) -> dict[str, Any]:
        """The request of a host step."""
        text = self.inputs["stdin"]
        found = json.loads(text["value"] if isinstance(text, dict) else text)
        assert isinstance(found, dict)
        return found


class Recorder(MockMonitor):
    """Pulumi's mock monitor, which also keeps the requests themselves. ``fails``: names of resources that fail as in an update that goes on
    with the others (``--continue-on-error``)."""

    def __init__(self, mocks: Mocks, fails: frozenset[str] = frozenset()) -> None:
        super().__init__(mocks)
        self.requests: list[Any] = []
        self._fails = fails

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the protocol's name)
        self.requests.append(request)
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.name in self._fails:
            return resource_pb2.RegisterResourceResponse(urn=response.urn, result=resource_pb2.FAIL)
        return response


class Engine(Mocks):
    """Gives every resource an id and its inputs as outputs; random passwords are random enough for a test."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = f"canary-generated-{args.name}"
        if args.typ == "command:local:Command":
            outputs["stdout"] = json.dumps(
                {"ok": True, "at": "2026-01-03T00:00:00Z", "status": 200, "version": "1.4.0", "files_only": True}
            )
            outputs["stderr"] = ""
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {}, None


@dataclass
class Run:
    """What a run of the program registered, in order, and the output ``monitoring``."""

    resources: list[Registration]
    export: dict[str, Any]
    questions: list[Mapping[str, Any]]

    def __getitem__(self, name: str) -> Registration:
        found = [r for r in self.resources if r.name == name and not r.type.startswith("mo:")]
        assert len(found) == 1, f"{name}: {len(found)} resources"
        return found[0]

    def names(self, type_: str) -> list[str]:
        """The names of all resources of a type."""
        return [r.name for r in self.resources if r.type == type_]

    def component(self, type_: str) -> Registration:
        """The only component of a class."""
        (found,) = (r for r in self.resources if r.type == f"mo:deploy:{type_}")
        return found


def run(
    project: Path,
    facts: Facts | None = None,
    *,
    preview: bool = False,
    judgement: Judgement | None = None,
    verify: Verify | None = None,
    now: datetime = datetime(2026, 11, 21, 9, tzinfo=UTC),
    backend: str = "https://example.org",
    log: logging.Logger | None = None,
    services: frozenset[str] | None = None,
    variables: Mapping[str, str] | None = None,
    fails: frozenset[str] = frozenset(),
    look: Look | None = None,
    **changes: Any,
) -> Run:
    """Runs the program in ``project``: ``facts`` as the host would tell them, preview or up, settings changed by keyword; ``fails``: names
    of resources that fail; ``look``: what the database servers hold.

    ``services``: the catalogue has these alone."""
    catalog = reader.read()
    if services is not None:
        catalog = catalog.model_copy(update={"services": {k: s for k, s in catalog.services.items() if k in services}})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    engine = Engine()
    monitor = Recorder(engine, fails)
    questions: list[Mapping[str, Any]] = []
    exported: dict[str, Any] = {}

    def ask(request: Mapping[str, Any]) -> Facts:
        questions.append(request)
        return facts or Facts()

    def program() -> None:
        args = PlatformArgs(
            stack="sandbox",
            project=project,
            catalog=catalog,
            loaded=loaded(project, **changes),
            ask=ask,
            look=look,
            verify=verify or (lambda *_: None),
            judgement=judgement or Judgement({"commit": COMMIT, "required": [], "gates": []}),
            now=now,
            environment={"PULUMI_BACKEND_URL": backend, **(variables or {})},
        )
        Platform("platform", args).monitoring.export.apply(exported.update)

    try:
        set_mocks(engine, project="mo-deploy", stack="sandbox", preview=preview, monitor=monitor, logger=log)
        # The mocks' own requests, which no program of an engine finds begun.
        loop.run_until_complete(asyncio.sleep(0))
        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        loop.run_until_complete(run_pulumi_func(program))
    except ResourceRegistrationFailed:
        # As on both engines: what waits for a failed resource is not registered, and the program ends with that when all else is done.
        assert fails
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Run([_registration(request) for request in monitor.requests], exported, questions)


def _registration(request: Any) -> Registration:
    inputs = json_format.MessageToDict(request.object)
    after = {urn.rsplit("::", 1)[1] for urn in request.dependencies}
    return Registration(request.type, request.name, inputs, request, after)
