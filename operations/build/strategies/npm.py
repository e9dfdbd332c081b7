"""npm: packages by ``npm ci`` from the lock file, Prisma's client, then the catalogue's scripts, in a copy of the workspace."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from operations.build import cache
from operations.build.errors import BuildError
from operations.build.steps import NPM_CI
from operations.build.strategies.base import Project
from operations.build.versions import version_of

_ROOT_FILES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "tsconfig*.json",
    "*.config.js",
    "*.config.mjs",
    "*.config.cjs",
    "*.config.ts",
)
_SCHEMA = "prisma/schema.prisma"
_LONGEST_SEARCHED = 64 << 20


class Npm:
    """Runs the catalogue's scripts and packs ``output`` (or the whole copy), with the service's migrations beside it."""

    version = 1
    default: tuple[str, ...] = ()
    """The program to run where the catalogue names no script."""

    def cached(self, project: Project) -> bool:
        return True

    def inputs(self, project: Project) -> Mapping[str, Any]:
        root = _root(project)
        files = {place.name: hashlib.sha256(place.read_bytes()).hexdigest() for place in _root_files(root)}
        return {"root": files, "node": version_of(project.steps, "node").split(".")[0], "machine": platform.machine()}

    def tools(self, project: Project) -> Mapping[str, str]:
        return {tool: version_of(project.steps, tool) for tool in ("node", "npm")}

    def notes(self, project: Project) -> Sequence[str]:
        if not (project.source / _SCHEMA).is_file() or _locked(_root(project), "prisma"):
            return ()
        return (f"prisma generate did not run: {project.service.source}/{_SCHEMA} is there, but no package.json declares prisma",)

    def make(self, project: Project) -> list[tuple[str, Path]]:
        root = _root(project)
        schema = (project.source / _SCHEMA).is_file()
        if schema and not _locked(root, "prisma") and _declares(project, root, "prisma"):
            raise BuildError(
                f"{project.key}: its package.json declares prisma, but {root}/package-lock.json does not bring it, so that "
                "`prisma generate` cannot run; run `npm install` there and commit it"
            )
        own, work = workspace(project)
        if schema and _locked(root, "prisma"):
            project.steps.run("prisma generate", ["npx", "--no-install", "prisma", "generate"], own)
        for script in project.service.build.scripts:
            project.steps.run(script, ["npm", "run", "--silent", script], work)
        if not project.service.build.scripts and self.default:
            project.steps.run(self.default[0], ["npx", "--no-install", *self.default], own)
        return self._parts(project, own, work)

    def _parts(self, project: Project, own: Path, work: Path) -> list[tuple[str, Path]]:
        output = project.service.build.output
        if output is None:
            return [("", own)]
        made = own / output
        if not made.is_dir() or not any(made.iterdir()):
            raise BuildError(f"{project.key}: its build ended well but made nothing at {project.service.source}/{output}")
        _refuse_build_paths(project, made, work)
        migrate = project.service.steps.migrate
        if migrate is None or migrate.directory is None:
            return [("", made)]
        # Prisma reads its schema and its lock beside the migrations.
        folder = str(Path(migrate.directory).parent) if migrate.kind == "prisma" and "/" in migrate.directory else migrate.directory
        return [("", made), (folder, project.source / folder)]


def workspace(project: Project) -> tuple[Path, Path]:
    """A copy of the source in a copy of its workspace with all packages: the source's folder, and the workspace's."""
    root = _root(project)
    work = project.work / "workspace"
    _skeleton(root, work)
    own = work / project.source.relative_to(root)
    project.copy_source(own)
    _packages(project, root, work)
    return own, work


def scripts_of(folder: Path) -> frozenset[str]:
    """The scripts of a folder's package.json; none where there is no such file. Raises ``BuildError`` where it cannot be read."""
    return frozenset(_package(folder).get("scripts") or {})


def _package(folder: Path) -> dict[str, Any]:
    place = folder / "package.json"
    if not place.is_file():
        return {}
    try:
        found = json.loads(place.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BuildError(f"{place} is no package.json; mend it")
    return found


def _declares(project: Project, root: Path, name: str) -> bool:
    groups = ("dependencies", "devDependencies", "optionalDependencies")
    return any(name in (_package(folder).get(group) or {}) for folder in (project.source, root) for group in groups)


def _locked(root: Path, name: str) -> bool:
    """Whether the lock file brings the package ``name``, for the root or for a workspace."""
    return any(place == f"node_modules/{name}" or place.endswith(f"/node_modules/{name}") for place in _lock(root))


def _root(project: Project) -> Path:
    """The folder of the lock file: the source itself, or the monorepo."""
    for folder in (project.source, project.checkout):
        if (folder / "package-lock.json").is_file():
            return folder
    raise BuildError(
        f"{project.key}: neither {project.service.source} nor the monorepo's root has a package-lock.json; "
        "run `npm install` there and commit it"
    )


def _root_files(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_file() and any(fnmatchcase(p.name, pattern) for pattern in _ROOT_FILES))


def _workspaces(root: Path) -> list[str]:
    return sorted(name for name in _lock(root) if name and "node_modules" not in name.split("/"))


def _lock(root: Path) -> list[str]:
    """The places of the packages that a lock file brings."""
    try:
        return list(json.loads((root / "package-lock.json").read_bytes())["packages"])
    except (ValueError, KeyError, TypeError):
        raise BuildError(
            f"{root}/package-lock.json is no lock file of npm 7 or newer; run `npm install` there and commit it"
        ) from None


def _skeleton(root: Path, target: Path) -> None:
    """Copies what ``npm ci`` reads: the root's files and each workspace's package.json."""
    target.mkdir(parents=True)
    for place in _root_files(root):
        shutil.copyfile(place, target / place.name)
    for name in _workspaces(root):
        place = root / name / "package.json"
        if ".." not in name.split("/") and place.is_file():
            (target / name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, target / name / "package.json")


def _packages(project: Project, root: Path, work: Path) -> None:
    """Brings ``node_modules`` into ``work``: from the cache, which ``npm ci`` fills once for each lock file."""
    digest = hashlib.sha256(f"1 {version_of(project.steps, 'node').split('.')[0]} {platform.machine()}\n".encode())
    for place in [*_root_files(root), *(root / name / "package.json" for name in _workspaces(root))]:
        if place.name in ("package.json", "package-lock.json", ".npmrc") and place.is_file():
            digest.update(hashlib.sha256(place.read_bytes()).digest())

    def install(folder: Path) -> None:
        _skeleton(root, folder / "workspace")
        project.steps.run("npm ci", [*NPM_CI, "--prefer-offline"], folder / "workspace")
        (folder / "workspace/node_modules").mkdir(exist_ok=True)

    kept = cache.keep(project.cache, "npm", digest.hexdigest(), install)
    # A copy, not links: a tool that writes into node_modules must not change what other builds get.
    for modules in (kept / "workspace").rglob("node_modules"):
        inside = modules.relative_to(kept / "workspace")
        if "node_modules" not in inside.parts[:-1]:
            subprocess.run(["cp", "-a", "--reflink=auto", str(modules), str(work / inside)], check=True, stdin=subprocess.DEVNULL)


def _refuse_build_paths(project: Project, made: Path, work: Path) -> None:
    """Raises ``BuildError`` where an output holds the folder it was built in: its digest would differ on every machine."""
    needle = str(work).encode()
    for place in sorted(p for p in made.rglob("*") if p.is_file() and not p.is_symlink()):
        if place.stat().st_size <= _LONGEST_SEARCHED and needle in place.read_bytes():
            raise BuildError(
                f"{project.key}: {place.relative_to(made)} holds the path of the folder it was built in, so that no two builds are equal"
            )
