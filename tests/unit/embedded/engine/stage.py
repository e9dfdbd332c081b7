"""A stage for engine tests: a program as a function in this process, fake providers, a session that remembers.

The program calls the engine's services without a wire between them; the recorded cases have one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import resource_pb2

from embedded import engine
from embedded.engine.deployment import Deployment
from embedded.engine.events import Events
from embedded.engine.monitor import Monitor
from embedded.engine.program import Finished
from embedded.model import Journal, Options, PendingOperation, Project, ResourceState, Result, Snapshot
from embedded.providers.base import CheckFailure, Diff, ProviderError, Resource
from embedded.values import UNKNOWN, PropertyMap, Secret, Unknown
from embedded.wire import from_struct, to_struct

PROJECT = Project("demo", "/nowhere", "", None, "dev", "organization", {}, frozenset())
STACK = "urn:pulumi:dev::demo::pulumi:pulumi:Stack::demo-dev"


def urn(name: str, type_: str = "test:m:Thing") -> str:
    return f"urn:pulumi:dev::demo::{type_}::{name}"


class World:
    """What the fake provider has made: id → inputs. ``calls`` lists the operations; ``fails`` names what is to fail."""

    def __init__(self) -> None:
        self.things: dict[str, PropertyMap] = {}
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.count = 0
        self.lock = threading.Lock()

    def note(self, call: str) -> None:
        with self.lock:
            self.calls.append(call)
        if call in self.fails:
            raise ProviderError(f"{call} fails")


class FakeProvider:
    """``size`` replaces, ``key`` replaces delete-before, all else updates; ``secret`` comes out secret; ``out`` is the id."""

    def __init__(self, world: World) -> None:
        self.world = world

    def check_config(self, urn: str, olds: PropertyMap, news: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        return dict(news), []

    def diff_config(self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap) -> Diff:
        return Diff("none")

    def configure(self, inputs: PropertyMap) -> None:
        pass

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]:
        if news.get("bad"):
            return news, [CheckFailure("bad", "it is bad")]
        return dict(news), []

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff:
        changed = sorted(key for key in old_inputs.keys() | news.keys() if old_inputs.get(key) != news.get(key))
        replaces = [key for key in changed if key in ("size", "key")]
        return Diff("some" if changed else "none", replaces=replaces, diffs=changed, delete_before_replace="key" in changed)

    def _outputs(self, identity: str, inputs: PropertyMap) -> PropertyMap:
        return {**inputs, "out": identity, "secret": Secret(f"hidden-{identity}")}

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]:
        if preview:
            return "", {**inputs, "out": UNKNOWN}
        name = resource.urn.rpartition("::")[2]
        self.world.note(f"create {name}")
        with self.world.lock:
            self.world.count += 1
            identity = f"{name}-{self.world.count}"
            self.world.things[identity] = inputs
        return identity, self._outputs(identity, inputs)

    def read(self, resource: Resource, inputs: Any, outputs: Any) -> tuple[str, PropertyMap, PropertyMap] | None:
        self.world.note(f"read {resource.id}")
        found = self.world.things.get(resource.id)
        return None if found is None else (resource.id, found, self._outputs(resource.id, found))

    def update(
        self,
        resource: Resource,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        *,
        preview: bool,
        timeout: float,
        ignore_changes: list[str],
    ) -> PropertyMap:
        if not preview:
            self.world.note(f"update {resource.id}")
            self.world.things[resource.id] = news
        return self._outputs(resource.id, news)

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None:
        self.world.note(f"delete {resource.id}")
        self.world.things.pop(resource.id, None)

    def invoke(self, token: str, args: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        return {"echo": args.get("say")}, []

    def close(self) -> None:
        pass


@dataclass
class Made:
    """A registered resource as the program sees it."""

    urn: str
    id: str
    outputs: PropertyMap
    result: int = 0

    def __getitem__(self, key: str) -> Any:
        return self.outputs.get(key, UNKNOWN)


class RefusedCall(grpc.RpcError):  # type: ignore[misc]
    """A call that the engine has aborted."""


class Context:
    """What a service is called with."""

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise RefusedCall(f"{code.name}: {message}")


class Direct:
    """In the place of the server: its address is itself, and a call is a call of the monitor."""

    def __init__(self, run: Deployment) -> None:
        self.monitor = Monitor(run)
        self.address = self

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        return lambda request: getattr(self.monitor, method)(request, Context())

    def mute(self) -> None:
        pass

    def stop(self) -> None:
        self.monitor.close()


class Client:
    """What a program calls: the ``ResourceMonitor`` service in short."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.stack = self.register("pulumi:pulumi:Stack", "demo-dev", parent="", custom=False).urn

    def register(
        self,
        type_: str,
        name: str,
        inputs: PropertyMap | None = None,
        *,
        custom: bool = True,
        parent: str | None = None,
        needs: dict[str, list[str]] | None = None,
        depends_on: tuple[str, ...] = (),
        **options: Any,
    ) -> Made:
        request = resource_pb2.RegisterResourceRequest(
            type=type_,
            name=name,
            custom=custom,
            parent=self.stack if parent is None else parent,
            object=to_struct(inputs or {}),
            acceptSecrets=True,
            acceptResources=True,
            supportsPartialValues=True,
            supportsResultReporting=True,
            dependencies=sorted({*depends_on, *(u for found in (needs or {}).values() for u in found)}),
            **{"version": "1.0.0" if custom else "", **options},
        )
        for key in inputs or {}:
            request.propertyDependencies[key].urns.extend((needs or {}).get(key, []))
        answer = self.stub.RegisterResource(request)
        return Made(answer.urn, answer.id, from_struct(answer.object), answer.result)

    def thing(self, name: str, inputs: PropertyMap | None = None, **options: Any) -> Made:
        return self.register("test:m:Thing", name, inputs, **options)

    def component(self, name: str, **options: Any) -> Made:
        return self.register("demo:c:Group", name, custom=False, **options)

    def outputs(self, of: str, outputs: PropertyMap) -> None:
        self.stub.RegisterResourceOutputs(resource_pb2.RegisterResourceOutputsRequest(urn=of, outputs=to_struct(outputs)))

    def together(self, *calls: Callable[[], Made]) -> list[Made]:
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]


Body = Callable[[Client], object]


class ThreadProgram:
    """A program in a thread of the test."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def start(self, address: Any, events: Events, finished: Finished) -> None:
        def work() -> None:
            try:
                client = Client(address)
                self._body(client)
                client.stub.SignalAndWaitForShutdown(Empty())
            except grpc.RpcError:
                finished("the program was refused", True)
            except Exception as error:
                finished(f"{type(error).__name__}: {error}", False)
            else:
                finished(None, False)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def interrupt(self) -> None:
        pass

    def wait(self) -> None:
        self._thread.join(timeout=10)


class Memory:
    """A session and its journal: folds what it is told, so that a test can compare with the snapshot at the end."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.journal: Journal = self
        self.final: Snapshot | None = None
        self.result = ""
        self.pending: dict[int, PendingOperation] = {}
        self.base = {id(state): state for state in snapshot.resources}
        self.news: dict[int, ResourceState] = {}
        self._number = 0
        self._lock = threading.Lock()

    def begin(self, operation: PendingOperation) -> int:
        with self._lock:
            self._number += 1
            self.pending[self._number] = operation
            return self._number

    def end(
        self,
        number: int | None,
        *,
        old: ResourceState | None = None,
        new: ResourceState | None = None,
        remove_old: bool = False,
        keep_old: bool = False,
    ) -> None:
        with self._lock:
            self.pending.pop(number or 0, None)
            if old is not None:
                known = self.base if id(old) in self.base else self.news
                assert id(old) in known, f"the journal does not know {old.urn}"
                if not keep_old:
                    del known[id(old)]
            if new is not None:
                self.news[id(new)] = new

    def rebase(self, resources: list[ResourceState]) -> None:
        self.base, self.news = {id(state): state for state in resources}, {}

    def fail(self, number: int) -> None:
        self.pending.pop(number)

    def outputs(self, resource: ResourceState) -> None:
        assert id(resource) in self.base | self.news

    def finish(self, snapshot: Snapshot, *, result: str, changes: dict[str, int]) -> None:
        self.final, self.result = snapshot, result

    def folded(self) -> list[tuple[str, bool]]:
        return [(state.urn, state.delete) for state in (*self.news.values(), *self.base.values())]


@dataclass
class Stage:
    """Runs programs one after the other on one state."""

    world: World
    patch: Any
    state: Snapshot = field(default_factory=Snapshot)
    events: list[dict[str, Any]] = field(default_factory=list)
    session: Memory | None = None
    project: Project = PROJECT

    def run(self, body: Body | None, kind: str = "update", cancel: threading.Event | None = None, **options: Any) -> Result:
        self.events = []
        if body is not None:
            self.patch.setattr(engine, "prepare", lambda *_: ThreadProgram(body))
            self.patch.setattr(engine, "Server", Direct)
        session = self.session = Memory(self.state)
        result = engine.run(Options(kind, **options), self.project, session, self.emit, cancel or threading.Event())
        if not kind.startswith("preview"):
            assert session.final is not None
            self.state = session.final
            folded = sorted(session.folded())
            assert sorted((state.urn, state.delete) for state in self.state.resources) == folded or any(
                state.aliases for state in session.news.values()
            )
        return result

    def emit(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        """The names in the state, in its order, without stack and providers; ``-`` before what is to be deleted."""
        return [
            ("-" if state.delete else "") + state.urn.rpartition("::")[2]
            for state in self.state.resources
            if not state.type.startswith("pulumi:")
        ]

    def get(self, name: str) -> ResourceState:
        return next(state for state in self.state.resources if state.urn.endswith(f"::{name}") and not state.delete)

    def steps(self) -> list[str]:
        """The steps begun, but for stack and default providers."""
        metadata = [event["resourcePreEvent"]["metadata"] for event in self.events if "resourcePreEvent" in event]
        return [f"{step['op']} {step['urn'].rpartition('::')[2]}" for step in metadata if not step["type"].startswith("pulumi:")]

    def errors(self) -> list[str]:
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [item["message"].strip() for item in found if item["severity"] == "error"]


def with_config(project: Project, **config: str) -> Project:
    return replace(project, config={key.replace("__", ":"): value for key, value in config.items()})


__all__ = ["PROJECT", "STACK", "Client", "Made", "Stage", "Unknown", "World", "urn", "with_config"]
