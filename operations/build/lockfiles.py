"""Reads lock files into the packages that they name: npm (version 2 and 3), Composer, and pinned requirements."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from operations.build.errors import BuildError

Ecosystem = Literal["npm", "composer", "pypi"]
Scope = Literal["required", "excluded"]


@dataclass(frozen=True)
class Package:
    """One package of a lock file. ``scope``: ``required`` (may ship) or ``excluded`` (only builds). ``hashes``: algorithm, hex."""

    ecosystem: Ecosystem
    name: str
    version: str
    scope: Scope = "required"
    hashes: tuple[tuple[str, str], ...] = ()
    licence: str | None = None
    needs: tuple[tuple[str, str], ...] = field(default=())
    """(name, version) of the packages that it needs itself."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others of its ecosystem."""
        return self.name, self.version


def npm(place: Path, workspace: str) -> list[Package]:
    """The packages that ``workspace`` (empty for the root) and the root ask for, with all that those need. Raises ``BuildError``."""
    return _Npm(place).of(workspace)


class _Npm:
    def __init__(self, place: Path) -> None:
        try:
            self.packages: dict[str, dict[str, Any]] = json.loads(place.read_bytes())["packages"]
            if not isinstance(self.packages[""], dict):
                raise TypeError
        except (OSError, ValueError, KeyError, TypeError):
            raise BuildError(f"{place} is no lock file of npm 7 or newer; run `npm install` there and commit it") from None

    def of(self, workspace: str) -> list[Package]:
        starts = [""] if workspace in ("", ".") else ["", workspace]
        shipped = self._reach(starts, ("dependencies", "optionalDependencies"))
        every = self._reach(starts, ("dependencies", "optionalDependencies", "devDependencies"))
        found = {(p.name, p.version): p for p in (self._package(path, path in shipped) for path in sorted(every))}
        return sorted(found.values(), key=lambda p: p.key)

    def _reach(self, starts: list[str], kinds: tuple[str, ...]) -> set[str]:
        """The places of all packages that ``starts`` lead to; ``kinds`` counts for the starts only: a package brings no tools."""
        reached: set[str] = set()
        pending = [(start, kinds) for start in starts]
        while pending:
            path, wanted = pending.pop()
            for place in self._needs(path, wanted):
                if place not in reached:
                    reached.add(place)
                    pending.append((place, ("dependencies", "optionalDependencies")))
        return {path for path in reached if not self.packages[path].get("link") and "node_modules/" in path}

    def _needs(self, path: str, kinds: tuple[str, ...]) -> list[str]:
        entry = self.packages.get(path, {})
        if entry.get("link"):
            return [str(entry["resolved"])] if entry.get("resolved") in self.packages else []
        names = {name for kind in kinds for name in entry.get(kind, {})}
        # npm installs the peers that a package asks for, but not those it calls optional.
        optional = entry.get("peerDependenciesMeta", {})
        names |= {name for name in entry.get("peerDependencies", {}) if not optional.get(name, {}).get("optional")}
        return [place for place in (self._resolve(path, name) for name in sorted(names)) if place]

    def _resolve(self, path: str, name: str) -> str | None:
        at = path
        while True:
            place = f"{at}/node_modules/{name}" if at else f"node_modules/{name}"
            if place in self.packages:
                return place
            if not at:
                return None
            at = at.rpartition("/node_modules/")[0] if "/node_modules/" in at else ""

    def _package(self, path: str, shipped: bool) -> Package:
        entry = self.packages[path]
        name = str(entry.get("name") or path.rpartition("node_modules/")[2])
        licence = entry.get("license")
        needs = tuple(
            (str(self.packages[p].get("name") or p.rpartition("node_modules/")[2]), str(self.packages[p].get("version", "")))
            for p in self._needs(path, ("dependencies", "optionalDependencies"))
        )
        return Package(
            "npm",
            name,
            str(entry.get("version", "")),
            "required" if shipped else "excluded",
            _integrity(str(entry.get("integrity", ""))),
            licence if isinstance(licence, str) else None,
            needs,
        )


def _integrity(text: str) -> tuple[tuple[str, str], ...]:
    algorithm, _, encoded = text.split(" ", maxsplit=1)[0].partition("-")
    names = {"sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1"}
    try:
        return ((names[algorithm], base64.b64decode(encoded, validate=True).hex()),)
    except (KeyError, ValueError):
        return ()


def composer(place: Path) -> list[Package]:
    """The packages of a ``composer.lock``; those for development are ``excluded``. Raises ``BuildError``."""
    try:
        lock = json.loads(place.read_bytes())
        found = [_composer(entry, "required") for entry in lock["packages"]]
        return sorted(found + [_composer(entry, "excluded") for entry in lock.get("packages-dev") or []], key=lambda p: p.key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BuildError(f"{place} is no composer.lock; run `composer update` there and commit it") from None


def _composer(entry: Mapping[str, Any], scope: Scope) -> Package:
    licences = entry.get("license") or [None]
    checksum = (entry.get("dist") or {}).get("shasum")
    hashes = (("SHA-1", str(checksum)),) if checksum else ()
    return Package(
        "composer",
        str(entry["name"]),
        str(entry["version"]).removeprefix("v"),
        scope,
        hashes,
        licences[0] if len(licences) == 1 else None,
    )


def pypi(pins: Mapping[str, str], wheels: Mapping[str, str]) -> list[Package]:
    """The pinned requirements; ``wheels`` gives the SHA-256 of each wheel's file name."""
    found = []
    for name, version in sorted(pins.items()):
        digest = next((d for w, d in wheels.items() if w.split("-")[0].lower().replace("_", "-").replace(".", "-") == name), None)
        found.append(Package("pypi", name, version, "required", (("SHA-256", digest),) if digest else ()))
    return found
