"""What every step needs: where the source is, where reports go, for which commit; and how a tool is run and its report kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catalog.settings import GateSettings, StackSettings
from evidence.file import units
from evidence.model import NOWHERE, About
from evidence.own import Commit
from evidence.report import NOTE_SUFFIX
from operations.build import cache, checkout
from operations.problem import Problem
from operations.project import ROOT, StackFile, is_encrypted, of_machine, settings_of, stack_file
from operations.settings import decrypted

LOOKED_AT = "sandbox"
"""Where pages are looked at unless something else is said: it may be written to, and every service of a build can be brought there."""


_USED = ("githubToken", "sshPrivateKey")
"""The stack's secrets that tools need."""


def remedy(stack: str) -> str:
    """What to do where the settings of ``stack``, or the site that they describe, are not there."""
    return "start it: make sandbox-up" if stack == LOOKED_AT else f"bin/mo doctor --stack {stack} names what is missing"


class StepError(Exception):
    """A tool that could not be run, or did not get to its end; the message says why and what to do. Its gate has no report then."""


class ToolFailedError(StepError):
    """A tool that ended with an exit code that means neither success nor findings. ``output``: its standard error."""

    def __init__(self, message: str, exit_code: int, output: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.output = output


class NotHereError(StepError):
    """A step that cannot run here: this machine lacks its tool, a database or a build that the tool needs, a token for its service, or the
    site to look at is not running. A report that CI left counts then, like any other."""


@dataclass(frozen=True)
class Context:
    """One run of the gates. ``settings``: the stack's, ``None`` where they are not complete (what needs the host is skipped then).
    ``at``: the stack whose running site is looked at, with ``site``, its settings. ``undecrypted``: why the secrets of the stack's
    file are not in ``secrets``; empty where they are, or are not asked for."""

    stack: str
    project: Path
    source: Path
    reports: Path
    commit: Commit
    gates: GateSettings
    settings: StackSettings | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    at: str = LOOKED_AT
    site: StackSettings | None = None
    undecrypted: str = ""

    @property
    def about(self) -> About:
        """The stack and its host; without a host where its settings are not complete."""
        return About(self.stack, self.settings.host.account if self.settings else "")

    @property
    def about_site(self) -> About:
        """The stack whose running site is looked at, and its host."""
        return About(self.at, self.site.host.account if self.site else "")

    @staticmethod
    def tool(name: str, made_from: bytes, install: Callable[[Path], None]) -> Path:
        """The folder of a tool that a registry gives, in the user's cache, for all clones on machines of this kind. Where there is none of
        what it is ``made_from``, ``install`` fills an empty folder that then takes its place."""
        return cache.keep(cache.default(), "tools", Context.tool_key(name, made_from), install)

    @staticmethod
    def tool_key(name: str, made_from: bytes) -> str:
        """The name of a tool's folder in the cache."""
        return f"{name}-{hashlib.sha256(made_from + platform.machine().encode()).hexdigest()[:12]}"

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        accept: Sequence[int] = (0,),
        timeout: int = 300,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a tool. Raises ``StepError`` where it is not there, takes too long, or exits with a code that is not its own way to
        say "ran, and found something"."""
        try:
            done = subprocess.run(
                list(argv), cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout, check=False
            )
        except FileNotFoundError:
            raise NotHereError(f"{Path(argv[0]).name} is not installed") from None
        except subprocess.TimeoutExpired:
            raise StepError(f"{Path(argv[0]).name} took more than {timeout} seconds") from None
        except OSError as error:
            raise StepError(f"{Path(argv[0]).name} cannot be run: {error.strerror}") from None
        if done.returncode not in accept:
            last = " | ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])[:400]
            raise ToolFailedError(f"{Path(argv[0]).name} failed (exit {done.returncode}): {last}", done.returncode, done.stderr)
        return done

    def forget(self, name: str) -> None:
        """Removes a report of an earlier run, and its note."""
        for path in (self.reports / name, self.reports / (name + NOTE_SUFFIX)):
            path.unlink(missing_ok=True)

    def keep(
        self,
        made: Path,
        name: str,
        tool: str,
        version: str,
        *,
        exit_code: int = 0,
        count: int | None = None,
        measures: Mapping[str, float] | None = None,
        same_run: Sequence[str] = (),
        about: About = NOWHERE,
    ) -> None:
        """Takes a report that a tool just wrote into the reports folder, with a note beside it. ``count``: how much the tool looked at; by
        default the units that the report holds. ``same_run``: the other reports of this run; ``about``: the stack and host of a report
        about a running site. Raises ``StepError`` where there is no report."""
        if not made.is_file():
            raise StepError(f"{tool} wrote no report")
        self.reports.mkdir(parents=True, exist_ok=True)
        target = self.reports / name
        data = made.read_bytes()
        target.write_bytes(data)
        held = units(target) if count is None else count
        note: dict[str, Any] = {
            "version": 1,
            "tool": tool,
            "toolVersion": version,
            "commit": self.commit.id,
            "dirty": self.commit.dirty,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": hashlib.sha256(data).hexdigest(),
            "exitCode": exit_code,
            "measures": dict(measures or {}),
        }
        if held is not None:
            note["count"] = held
        if same_run:
            note["sameRun"] = list(same_run)
        if about.host:
            note["about"] = {"stack": about.stack, "host": about.host}
        target.with_name(name + NOTE_SUFFIX).write_text(json.dumps(note, indent=1) + "\n")

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for a tool's output, of this user alone, removed afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="mo-gates-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def context(
    stack: str,
    reports: Path | None = None,
    project: Path = ROOT,
    commit: str | None = None,
    at: str = LOOKED_AT,
    decrypt: bool = False,
) -> Context:
    """The context of a stack's gates. ``commit``: the one that reports must be of; else the source's, which must be there then. ``at``: the
    stack whose running site is looked at. ``decrypt``: tools are run that need the stack's secrets. Raises ``Problem`` where the stack's
    file or its source cannot be used."""
    file = stack_file(stack, project)
    values, secrets = _values(file, project)
    undecrypted = ""
    if decrypt and any(is_encrypted(file.settings.get(key)) for key in _USED):
        try:
            told = decrypted(project, stack)
            secrets = {key: told[key] for key in _USED if key in told} | secrets
        except Problem as problem:
            # Most tools need no secret; those that do say why they have none.
            undecrypted = str(problem)
    try:
        gates = GateSettings.model_validate(values.get("gates") or {})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise Problem(f"{file.path.name}: mo:gates.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    source = (project / str(values.get("source", "../monorepo"))).resolve()
    if commit is None and not source.is_dir():
        raise Problem(f"The monorepo {source} is not there: set mo:source in {file.path.name}, or name a commit (--commit).")
    return Context(
        stack=stack,
        project=project,
        source=source,
        reports=reports or project / gates.reports,
        commit=commit_of(source, project / "dist") if commit is None else Commit(commit),
        gates=gates,
        settings=_settings(values),
        secrets=secrets,
        at=at,
        undecrypted=undecrypted,
        site=_settings(values if at == stack else _values(stack_file(at, project), project)[0]),
    )


def _values(file: StackFile, project: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A stack's settings with those of its machine laid over them, and the secrets of that machine; what is encrypted is left out."""
    found = of_machine(file, project).get("secrets")
    secrets = {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
    return settings_of(file, project), secrets


def commit_of(source: Path, out: Path) -> Commit:
    """The commit that reports on ``source`` are of: HEAD, or the last build's (``dist/manifest.json``) where the source is the same.
    Raises ``Problem`` outside a repository."""
    found = checkout.look(source)
    if found.commit is None:
        raise Problem(
            f"{source} is in no git repository, so no report could say for which commit it is. Run `git init` and commit."
        )
    return Commit(_built(source, out, found.commit) or found.commit, bool(found.changed))


def _built(source: Path, out: Path, head: str) -> str | None:
    try:
        built = json.loads((out / "manifest.json").read_bytes()).get("commit")
    except (OSError, ValueError, AttributeError):
        return None
    if not isinstance(built, str) or not built.isalnum():
        return None
    try:
        same = subprocess.run(
            ["git", "diff", "--quiet", built, head, "--", "."], cwd=source, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return built if same.returncode == 0 else None


def _settings(values: Mapping[str, Any]) -> StackSettings | None:
    known = {field.alias or name for name, field in StackSettings.model_fields.items()}
    try:
        return StackSettings.model_validate({key: value for key, value in values.items() if key in known})
    except ValidationError:
        return None
