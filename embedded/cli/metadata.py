"""What the history says of an operation: environment, options, version control, as the CLI records them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Final

from embedded.cli.flags import TRUTHY, Arguments
from embedded.settings import ProjectFile
from embedded.state.checkpoint import VERSION

# The CLI's switches among its variables: of these it keeps the value, of the others that they are set.
_SWITCHES: Final = frozenset(
    [
        "EXPERIMENTAL",
        "SKIP_UPDATE_CHECK",
        "DEV",
        "SKIP_CHECKPOINTS",
        "DEBUG_COMMANDS",
        "ENABLE_LEGACY_DIFF",
        "ENABLE_LEGACY_REFRESH_DIFF",
        "DISABLE_PROVIDER_PREVIEW",
        "DISABLE_RESOURCE_REFERENCES",
        "DISABLE_OUTPUT_VALUES",
        "ERROR_OUTPUT_STRING",
        "IGNORE_AMBIENT_PLUGINS",
        "DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
        "SKIP_CONFIRMATIONS",
        "ERROR_ON_DEPENDENCY_CYCLES",
        "AUTOMATION_API_SKIP_VERSION_CHECK",
        "CONTINUE_ON_ERROR",
        "SUPPRESS_NEO_LINK",
        "NEO",
        "FALLBACK_TO_STATE_SECRETS_MANAGER",
        "DISABLE_SECRET_CACHE",
        "PARALLEL_DIFF",
        "RUN_PROGRAM",
        "ENABLE_STREAMING_JSON_PREVIEW",
        "DIY_BACKEND_NO_LEGACY_WARNING",
        "DIY_BACKEND_IGNORE_DEPRECATION_ERROR",
        "DIY_BACKEND_LEGACY_LAYOUT",
        "DIY_BACKEND_GZIP",
        "DIY_BACKEND_ZSTD",
        "DIY_BACKEND_RETAIN_CHECKPOINTS",
        "DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS",
        "DISABLE_VALIDATION",
        "DISABLE_REGISTRY_RESOLVE",
        "DISABLE_JOURNALING",
        "GOROUTINE_PANIC_RECOVERY",
    ]
)
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def environment(arguments: Arguments, project: ProjectFile, *, program: bool) -> dict[str, str]:
    """The ``environment`` of a history entry; ``program`` where the operation runs the project's program."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if name.startswith("PULUMI_"):
            switch = name.removeprefix("PULUMI_") in _SWITCHES
            found[f"pulumi.env.{name}"] = ("true" if value.lower() in TRUTHY else "false") if switch else "set"
    found |= {f"pulumi.flag.{name}": value for name, value in arguments.given.items()}
    kind = arguments.text("exec-kind")
    found["exec.kind"] = kind if kind in ("auto.local", "auto.inline") else "cli"
    found |= {
        "pulumi.version": VERSION,
        "pulumi.os": platform.system().lower(),
        "pulumi.arch": _MACHINES.get(platform.machine(), platform.machine()),
    }
    found |= {"stack.environments": "[]", "updatePlan": "false"}
    if program:
        python = Path(project.virtualenv or os.environ.get("VIRTUAL_ENV") or os.__file__).joinpath("bin", "python3")
        executable = str(python) if python.exists() else _python()
        found |= {"runtime.name": "python", "runtime.executable": executable, "runtime.version": platform.python_version()}
    return found | _git(project.directory)


def _python() -> str:
    import shutil
    import sys

    return shutil.which("python3") or sys.executable


def _git(directory: Path) -> dict[str, str]:
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return {}
    form = "%H%x00%cn%x00%ce%x00%an%x00%ae"
    head = _run(directory, "log", "-1", f"--format={form}").rstrip("\n").split("\0")
    if len(head) != 5:
        return {}
    found = dict(zip(("git.head", "git.committer", "git.committer.email", "git.author", "git.author.email"), head, strict=True))
    if name := _run(directory, "symbolic-ref", "-q", "HEAD").strip():
        found["git.headName"] = name
    found["git.dirty"] = "true" if _run(directory, "status", "--porcelain", "-z") else "false"
    return found


def commit_title(directory: Path) -> str:
    """The first line of the last commit's message: the update's message where none is given. Empty outside a repository."""
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return ""
    return _run(directory, "log", "-1", "--format=%s").strip()


def _run(directory: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
