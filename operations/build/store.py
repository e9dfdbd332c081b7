"""The artefact store: ``dist/.store/<service>/<release>/{tree,manifest.json}``, kept 30 days; the current ones at ``dist/<service>/``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from catalog import manifest as manifests
from catalog.manifest import Manifest
from operations.build import packing
from operations.build.checkout import Checkout

RETENTION_SECONDS = 30 * 24 * 3600
SOURCES = ".sources"
"""Of which state of the service's sources its artefact is; read by ``operations/unbuilt.py``."""
KEPT_BESIDE = ("SBOM.json",)
"""Documents of an artefact that go into the store with it."""


class Store:
    """The ``dist`` folder of one project."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.root = out / ".store"

    def current(self, service: str) -> Manifest | None:
        """The manifest of ``dist/<service>``; ``None`` where there is none or it cannot be read."""
        try:
            return manifests.load(self.out / service / "manifest.json")
        except (OSError, ValueError):
            return None

    @contextlib.contextmanager
    def incoming(self, service: str) -> Iterator[Path]:
        """An empty folder on the store's file system for one artefact, gone afterwards unless ``put`` took it."""
        parent = self.root / service
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, manifest: Manifest, incoming: Path) -> Path:
        """Keeps ``incoming`` (with its ``tree``) as the artefact of ``manifest``; one there already gets the new manifest. Its folder."""
        place = self.root / manifest.service / manifest.release
        write(incoming / "manifest.json", document(manifest))
        if place.is_dir() and packing.intact(place / "tree", manifest.files, manifest.links):
            for name in ("manifest.json", *KEPT_BESIDE):
                if (incoming / name).exists():
                    os.replace(incoming / name, place / name)
        else:
            shutil.rmtree(place, ignore_errors=True)
            incoming.rename(place)
        os.utime(place)
        return place

    def publish(self, service: str, stored: Path, key: str) -> None:
        """Makes ``dist/<service>`` the stored artefact, by hard links. ``key`` says what it was made from."""
        fresh = Path(tempfile.mkdtemp(prefix=f".{service}-", dir=self.out))
        old = self.out / f".{service}.old"
        try:
            fresh.chmod(0o755)
            packing.link_tree(stored / "tree", fresh / "tree")
            for name in ("manifest.json", *KEPT_BESIDE):
                if (stored / name).exists():
                    shutil.copyfile(stored / name, fresh / name)
            write(fresh / ".key", key.encode())
            shutil.rmtree(old, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                (self.out / service).rename(old)
            fresh.rename(self.out / service)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)

    def key(self, service: str) -> str | None:
        """What the current artefact was made from."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.out / service / ".key").read_text("ascii")
        return None

    def renew(self, service: str, materials: bytes, key: str) -> None:
        """Notes that other inputs gave the same artefact, with a bill of materials that may differ."""
        write(self.out / service / "SBOM.json", materials)
        write(self.out / service / ".key", key.encode())

    def renew_manifest(self, manifest: Manifest) -> None:
        """Replaces the manifest of the current artefact, in ``dist/<service>`` and in the store; its content stays."""
        for folder in (self.root / manifest.service / manifest.release, self.out / manifest.service):
            write(folder / "manifest.json", document(manifest))

    def confirm(self, service: str, checkout: Checkout) -> None:
        """Notes that the artefact is what this checkout builds (``dist/<service>/.confirmed``), whenever it was made."""
        place = self.out / service / ".confirmed"
        if not place.is_file() or place.read_bytes() != checkout.state.encode():
            write(place, checkout.state.encode())

    def note(self, service: str, source: Path, checkout: Checkout, folders: Sequence[str]) -> None:
        """Notes of which state of its own sources the artefact is (``.sources``), so that a deploy tells a forgotten build. ``at`` counts
        where they differ from the commit: the same paths may hold something else later."""
        place, changed = self.out / service / SOURCES, checkout.mark(*folders)
        if checkout.commit is None:
            place.unlink(missing_ok=True)
            return
        told = {"source": str(source), "commit": checkout.commit, "changed": changed, "at": checkout.at if changed else 0}
        content = json.dumps(told).encode()
        if not place.is_file() or place.read_bytes() != content:
            write(place, content)

    def confirmed(self, service: str, checkout: Checkout) -> bool:
        """Whether a build of this commit made or confirmed the artefact. What was built with uncommitted changes is not of the commit;
        a checkout that has some says so of everything."""
        try:
            commit, _, kind = (self.out / service / ".confirmed").read_text("ascii").partition(" ")
        except (OSError, UnicodeDecodeError):
            return False
        return commit == (checkout.commit or "") and (kind == "clean" or bool(checkout.changed))

    def mark(self, service: str, *, failed: bool) -> None:
        """Remembers whether the last build of a service failed (``.failed/<service>``): its artefact is then an older one's, and
        confirmed for nothing."""
        if failed:
            (self.out / service / ".confirmed").unlink(missing_ok=True)
        place = self.out / ".failed" / service
        with contextlib.suppress(OSError):  # a full disk has failed the build already, and says so
            if failed:
                place.parent.mkdir(exist_ok=True)
                place.touch()
            else:
                place.unlink(missing_ok=True)

    def recover(self) -> None:
        """Undoes what a killed build left half done: a current artefact that was just being replaced comes back, the rest goes."""
        for old in self.out.glob(".*.old"):
            current = self.out / old.name.removeprefix(".").removesuffix(".old")
            if not current.exists() and (old / "manifest.json").is_file():
                old.rename(current)
        for leftover in (*self.out.glob(".*.old"), *self.out.glob(".*-????????"), *self.root.glob("*/.new-*")):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)

    def whole(self, manifest: Manifest) -> bool:
        """Whether ``dist/<service>`` and the store both still hold the artefact as it was written."""
        stored = self.root / manifest.service / manifest.release
        return (
            packing.intact(self.out / manifest.service / "tree", manifest.files, manifest.links)
            and (stored / "manifest.json").is_file()
            and (stored / "tree").is_dir()
        )

    def prune(self, now: float | None = None) -> list[str]:
        """Removes artefacts that no build has made for 30 days, never a current one. What went, as ``<service>/<release>``."""
        limit = (now or time.time()) - RETENTION_SECONDS
        gone = []
        for place in sorted(self.root.glob("*/*")) if self.root.is_dir() else []:
            service, release = place.parent.name, place.name
            current = self.current(service)
            if (current is None or current.release != release) and place.stat().st_mtime < limit:
                shutil.rmtree(place, ignore_errors=True)
                gone.append(f"{service}/{release}")
        return gone


def document(manifest: Manifest) -> bytes:
    """The manifest as it is written to files: one JSON document, keys in the model's order, a newline at its end."""
    return manifest.model_dump_json(indent=1).encode() + b"\n"


def write(place: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part."""
    descriptor, name = tempfile.mkstemp(prefix=".", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.chmod(name, 0o644)
        os.replace(name, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
