"""Python: the source, and beside it every wheel that the host needs to make its environment without network and without pip."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from operations.build import cache
from operations.build.errors import BuildError
from operations.build.strategies import npm
from operations.build.strategies.base import Project
from operations.build.strategies.npm import Npm

PIP = "26.3"
"""The pip that is shipped: a host without one runs ``python3 wheels/pip-*.whl/pip install --no-index --find-links wheels -r …``."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9,._ -]+\])?==([A-Za-z0-9.!+_-]+)\s*(;.*)?$")
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


class Python:
    """Packs the source and ``wheels/``; every requirement must be pinned, those that others bring too. The catalogue's npm scripts
    (``build:api``) run before, in a copy, where the monorepo's package.json has them."""

    version = 1

    def cached(self, project: Project) -> bool:
        return True

    def inputs(self, project: Project) -> Mapping[str, Any]:
        more = {"npm": Npm().inputs(project)} if _scripts(project) else {}
        return {"python": project.service.build.python, "machine": platform.machine(), "pip": PIP, **more}

    def tools(self, project: Project) -> Mapping[str, str]:
        more = Npm().tools(project) if _scripts(project) else {}
        return {"python": platform.python_version(), "pip": version("pip"), **more}

    def notes(self, project: Project) -> Sequence[str]:
        absent = sorted({*project.service.build.scripts} - {*_scripts(project)})
        return [f"{script} did not run: the monorepo's package.json has no such script" for script in absent]

    def make(self, project: Project) -> list[tuple[str, Path]]:
        for entry in project.listing.files:
            if entry.path.endswith(".py"):
                try:
                    compile(Path(entry.place).read_bytes(), entry.path, "exec", dont_inherit=True)
                except (SyntaxError, ValueError) as error:
                    raise BuildError(f"{project.key}: {entry.path} is no valid Python: {error}") from None
        source = project.source
        if scripts := _scripts(project):
            source, work = npm.workspace(project)
            for script in scripts:
                project.steps.run(script, ["npm", "run", "--silent", script], work)
        return [("", source), ("wheels", _wheels(project))]


def _scripts(project: Project) -> list[str]:
    """The catalogue's scripts that the monorepo's package.json has."""
    there = npm.scripts_of(project.checkout)
    return [script for script in project.service.build.scripts if script in there]


def pins(text: str) -> dict[str, str]:
    """The pinned requirements by normalised name. Raises ``ValueError`` with the first line that is none."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        line = re.sub(r"\s--hash=\S+", "", re.sub(r"(^|\s)#.*", "", raw)).strip()
        if not line:
            continue
        pin = _PIN.match(line)
        if not pin:
            raise ValueError(f"line {number}, `{line[:80]}`, is not of the form name==version")
        found[_normalised(pin.group(1))] = pin.group(3)
    return found


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _wheels(project: Project) -> Path:
    """The folder of wheels for this requirements.txt and the host's Python, from the cache or from the package index."""
    requirements = project.source / "requirements.txt"
    if not requirements.is_file():
        raise BuildError(
            f"{project.key}: {project.service.source} has no requirements.txt; list there what it needs, each as name==version"
        )
    try:
        pinned = pins(requirements.read_text("utf-8"))
    except ValueError as error:
        raise BuildError(f"{project.key}: {project.service.source}/requirements.txt: {error}") from None
    target = project.service.build.python
    key = hashlib.sha256(f"1 {target} {platform.machine()} {PIP}\n".encode() + requirements.read_bytes()).hexdigest()
    abi = "cp" + target.replace(".", "")
    wanted = [
        *(f"--platform={name}_{platform.machine()}" for name in _PLATFORMS),
        f"--python-version={target}",
        f"--abi={abi}",
        "--abi=abi3",
        "--abi=none",
    ]

    def download(folder: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--no-input",
            "--only-binary=:all:",
            "--implementation=cp",
        ]
        command += [*wanted, f"--dest={folder / 'wheels'}", f"--requirement={requirements}", f"pip=={PIP}"]
        project.steps.run("pip download", command, project.work)
        unpinned = sorted(_unpinned(folder / "wheels", pinned))
        if unpinned:
            raise BuildError(
                f"{project.key}: requirements.txt does not pin {', '.join(unpinned)}, which its packages need; add these lines to it"
            )

    return cache.keep(project.cache, "wheels", key, download) / "wheels"


def _unpinned(folder: Path, pinned: Mapping[str, str]) -> list[str]:
    names = [wheel.name.split("-")[:2] for wheel in folder.glob("*.whl")]
    return [f"{name}=={number}" for name, number in names if _normalised(name) not in pinned and _normalised(name) != "pip"]
