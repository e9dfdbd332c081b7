"""Random programs, edits of them, and runs that are killed at a chosen event.

An *event* is anything that a killed engine leaves behind: a line in the journal, a file of the backend, a thing made or removed by the
provider. At the chosen event the backend's folder and the provider's things are copied as they are; the run goes on, but what it does
from then on is thrown away, which is what a SIGKILL at that moment would have done. With a power cut, lines that were not synced are gone.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from embedded import engine, providers
from embedded.engine import executor, monitor
from embedded.model import Options, ResourceState, Result, Snapshot
from embedded.providers.base import ProviderError
from embedded.state import files, locks
from embedded.state.backend import Backend, StackName
from embedded.state.encryption import Crypter
from embedded.state.journal import FileJournal
from embedded.state.session import Update, open_session, read_snapshot
from embedded.values import PropertyMap
from tests.unit.embedded.engine.stage import PROJECT, Client, Direct, FakeProvider, Made, ThreadProgram, World

RANDOM = "random:index/randomPassword:RandomPassword"
STACK_NAME = StackName("demo", "dev")


@dataclass(frozen=True)
class Spec:
    """One resource of a program. ``x`` is updated in place, ``size`` replaces, ``key`` replaces with the deletion first."""

    name: str
    kind: str = "thing"  # "thing" | "group" (a component) | "password" (the real provider ``random``)
    x: int = 0
    size: int = 0
    key: int = 0
    takes: str = ""  # the resource whose output is an input of this one
    parent: str = ""
    after: tuple[str, ...] = ()
    protect: bool = False
    retain: bool = False
    ignore: bool = False  # ignore_changes=["x"]
    replace_on_x: bool = False
    delete_first: bool = False
    deleted_with: str = ""
    former: str = ""  # an alias: its name before

    def without(self, name: str) -> Spec:
        """The same without what refers to ``name``."""
        return replace(
            self,
            takes="" if self.takes == name else self.takes,
            parent="" if self.parent == name else self.parent,
            after=tuple(each for each in self.after if each != name),
            deleted_with="" if self.deleted_with == name else self.deleted_with,
        )

    def renamed(self, old: str, new: str) -> Spec:
        """The same with every reference to ``old`` as one to ``new``."""
        return replace(
            self,
            takes=new if self.takes == old else self.takes,
            parent=new if self.parent == old else self.parent,
            after=tuple(new if each == old else each for each in self.after),
            deleted_with=new if self.deleted_with == old else self.deleted_with,
        )


Program = tuple[Spec, ...]


def play(program: Program) -> Callable[[Client], object]:
    """The program as calls, one resource after the other."""

    def body(client: Client) -> None:
        made: dict[str, Made] = {}
        for spec in program:
            made[spec.name] = _register(client, spec, made)
        client.outputs(client.stack, {spec.name: made[spec.name]["out"] for spec in program if spec.kind == "thing"})

    return body


def _register(client: Client, spec: Spec, made: dict[str, Made]) -> Made:
    options: dict[str, Any] = {
        "parent": made[spec.parent].urn if spec.parent else None,
        "depends_on": tuple(made[name].urn for name in spec.after if name in made),
        "protect": spec.protect,
        "deletedWith": made[spec.deleted_with].urn if spec.deleted_with else "",
    }
    if spec.former:
        options["aliases"] = [{"spec": {"name": spec.former}}]
    if spec.kind == "group":
        return client.component(spec.name, **options)
    options |= {
        "retainOnDelete": spec.retain,
        "ignoreChanges": ["x"] if spec.ignore else [],
        "replaceOnChanges": ["x"] if spec.replace_on_x else [],
    }
    if spec.delete_first:
        options |= {"deleteBeforeReplace": True, "deleteBeforeReplaceDefined": True}
    if spec.kind == "password":
        return client.register(RANDOM, spec.name, {"length": 8 + spec.size}, version=providers.PACKAGES["random"], **options)
    inputs: PropertyMap = {"x": spec.x, "size": spec.size, "key": spec.key}
    needs = {}
    if spec.takes:
        source = made[spec.takes]
        inputs["from"], needs["from"] = source["out" if source.urn.split("::")[2].endswith("Thing") else "result"], [source.urn]
    return client.thing(spec.name, inputs, needs=needs, **options)


class _Things(dict[str, PropertyMap]):
    def __init__(self, world: Reality) -> None:
        super().__init__()
        self._world = world

    def __setitem__(self, key: str, value: PropertyMap) -> None:
        self._world.happen("thing", lambda: dict.__setitem__(self, key, value))

    def pop(self, key: str, *default: Any) -> Any:
        return self._world.happen("thing", lambda: dict.pop(self, key, *default))


class Reality(World):
    """The provider's things and the backend's folder; knows which event is the last of a run, and which call fails."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.saved = folder, folder.with_name("killed")
        self.lock = threading.RLock()  # type: ignore[assignment]
        self.things = _Things(self)
        self.journal: FileJournal | None = None
        self.killed: dict[str, PropertyMap] | None = None
        self.begin()

    def begin(self, kill_at: tuple[str, int] | None = None, fail_at: int = 0, *, power_cut: bool = False) -> None:
        """A new run: killed after the event ``kill_at`` (``line``, ``thing`` or ``file``, and its number); its call ``fail_at`` fails."""
        self.kill_at, self.fail_at, self.power_cut = kill_at, fail_at, power_cut
        self.events: Counter[str] = Counter()
        self.noted = 0
        self.killed = None

    def happen(self, kind: str, change: Callable[[], Any]) -> Any:
        with self.lock:
            result = change()
            self.events[kind] += 1
            if (kind, self.events[kind]) == self.kill_at:
                self._freeze()
            return result

    def note(self, call: str) -> None:
        with self.lock:
            self.calls.append(call)
            self.noted += 1
            if self.noted == self.fail_at:
                raise ProviderError(f"{call} fails")

    def _freeze(self) -> None:
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.folder, self.saved)
        log = self.journal
        if self.power_cut and log is not None:
            left = self.saved / log.path.relative_to(self.folder)
            if left.exists():
                lines = left.read_bytes().splitlines(keepends=True)
                kept, lost = lines[: log._synced], lines[log._synced :]
                left.write_bytes(b"".join(kept) + (lost[0][: len(lost[0]) // 2] if lost else b""))
        self.killed = dict(self.things)

    def end(self) -> bool:
        """Puts everything back to where it was at the kill. Whether there was one."""
        if self.killed is None:
            return False
        shutil.rmtree(self.folder)
        self.saved.rename(self.folder)
        dict.clear(self.things)
        dict.update(self.things, self.killed)
        return True


@dataclass
class Stand:
    """One stack in a real backend, run by real code but for the program and the provider."""

    reality: Reality
    backend: Backend
    crypter: Crypter
    patch: pytest.MonkeyPatch
    errors: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def run(self, program: Program | None, kind: str = "update", **options: Any) -> Result | None:
        """Runs an operation; ``None`` where it was killed, whose lock is then cleared as ``cancel`` does."""
        if program is not None:
            self.patch.setattr(engine, "prepare", lambda *_: ThreadProgram(play(program)))
        self.errors, self.steps = [], []
        with self.backend.lock(STACK_NAME):
            self.backend.recover(STACK_NAME)
            salt = self.crypter.encryption_salt
            with open_session(self.backend, STACK_NAME, lambda _: self.crypter, salt, Update(kind, "", {}, {})) as session:
                assert isinstance(session.journal, FileJournal)
                self.reality.journal = session.journal
                result = engine.run(Options(kind, **options), PROJECT, session, self._event, threading.Event())
        self.reality.journal = None
        if self.reality.end():
            locks.clear(self.backend.lock_directory(STACK_NAME))
            return None
        return result

    def _event(self, event: dict[str, Any]) -> None:
        if event.get("diagnosticEvent", {}).get("severity") == "error":
            self.errors.append(event["diagnosticEvent"]["message"])
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            self.steps.append(f"{metadata['op']} {metadata['urn'].rpartition('::')[2]}")

    def snapshot(self) -> Snapshot:
        """The state as the next command reads it."""
        return read_snapshot(self.backend, STACK_NAME, lambda _: self.crypter)

    def unprotect(self) -> None:
        """``pulumi state unprotect --all``."""
        checkpoint = self.backend.current(STACK_NAME)
        for resource in checkpoint.resources:
            resource.pop("protect", None)
        self.backend.save(STACK_NAME, checkpoint)


@contextmanager
def stand(folder: Path, crypter: Crypter) -> Iterator[Stand]:
    """A stand in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        home = folder / "state"
        home.mkdir(parents=True)
        reality = Reality(home)
        loaded, appended, replaced = providers.load, FileJournal._append, files.replace

        def load(package: str, version: str, directory: str, log: Any) -> Any:
            return FakeProvider(reality) if package == "test" else loaded(package, version, directory, log)

        def append(self: FileJournal, entry: dict[str, Any], *, durable: bool) -> None:
            reality.happen("line", lambda: appended(self, entry, durable=durable))

        def write(path: Path, content: bytes, *, mode: int | None = None) -> None:
            reality.happen("file", lambda: replaced(path, content, mode=mode))

        patch.setattr(providers, "load", load)
        patch.setattr(FileJournal, "_append", append)
        patch.setattr(files, "replace", write)
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(engine, "Server", Direct)
        patch.setattr(executor, "_GRACE", 0)
        patch.setattr(monitor, "_YIELD", 0)
        patch.setattr(monitor, "_AFTER", 0)
        backend = Backend(f"file://{home}")
        backend.create(STACK_NAME, crypter.encryption_salt)
        yield Stand(reality, backend, crypter, patch)
    shutil.rmtree(folder)


def ours(state: ResourceState) -> bool:
    """Whether ``state`` is a thing of the fake provider."""
    return state.type == "test:m:Thing"
