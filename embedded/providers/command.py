"""Package ``command``: ``local.Command`` and the ``command:local:run`` invoke, as provider 1.2.1 does them.

Two differences from the published plugin, both on the safe side: what a command prints is masked where it repeats a secret input (in
progress messages and errors), and an output that repeats one is itself a secret, so that it does not stand in the state in clear.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from embedded.providers import archives
from embedded.providers.base import CheckFailure, Diff, Log, ProviderError, Resource
from embedded.providers.differences import differences
from embedded.providers.path_patterns import matching
from embedded.providers.wording import go_quote, mask, secret_texts
from embedded.values import UNKNOWN, Archive, PropertyMap, Secret, Unknown, contains, plain

COMMAND = "command:local:Command"
RUN = "command:local:run"
VERSION_KEY = "__pulumi-go-provider-version"

_TEXTS = ("create", "update", "delete", "dir", "stdin", "logging")
_LISTS = ("interpreter", "assetPaths", "archivePaths")
_INPUTS = frozenset((*_TEXTS, *_LISTS, "environment", "triggers", "addPreviousOutputInEnv"))
_LOGGING = {
    None: (True, True),
    "stdoutAndStderr": (True, True),
    "stdout": (True, False),
    "stderr": (False, True),
    "none": (False, False),
}
_GRACE = 2.0  # seconds between asking a child to stop and killing it

_children: set[subprocess.Popen[bytes]] = set()
_children_lock = threading.Lock()


def provider(version: str, project_directory: str, log: Log) -> CommandProvider:
    """A provider whose commands run in ``project_directory``."""
    return CommandProvider(version, project_directory, log)


def kill_children() -> None:
    """Stops every running command with all that it started: asks first, kills after two seconds."""
    with _children_lock:
        children = list(_children)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for child in children:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, number)
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and any(child.returncode is None for child in children):
            time.sleep(0.02)


class CommandProvider:
    """The provider ``command``. Calls may come from many threads; each command runs in the thread that asked for it."""

    def __init__(self, version: str, project_directory: str, log: Log) -> None:
        self._version = version
        self._directory = project_directory
        self._log = log

    def check_config(self, urn: str, olds: PropertyMap, news: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        return {VERSION_KEY: olds.get(VERSION_KEY, "(devel)"), **news}, []

    def diff_config(self, urn: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap) -> Diff:
        return Diff("none")

    def configure(self, inputs: PropertyMap) -> None:
        """Nothing to configure."""

    def check(
        self, resource: Resource, olds: PropertyMap, news: PropertyMap, random_seed: bytes
    ) -> tuple[PropertyMap, list[CheckFailure]]:
        _require(resource.type)
        failures = [CheckFailure(key, f"unknown property {key!r}") for key in news if key not in _INPUTS]
        for key, value in news.items():
            reason = _wrong_type(key, plain(value))
            if reason:
                failures.append(CheckFailure(key, reason))
        return dict(news), failures

    def diff(
        self, resource: Resource, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore_changes: list[str]
    ) -> Diff:
        _require(resource.type)
        olds = {key: value for key, value in old_outputs.items() if key in _INPUTS}
        # `triggers` as a whole replaces here, one of them by the option that the SDK sets (``replaceOnChanges: ["triggers[*]"]``)
        detailed = {
            path: {"kind": f"{kind}-replace" if path == "triggers" else kind, "inputDiff": False}
            for path, kind in differences(olds, news)
        }
        names = sorted({re.split(r"[.\[]", path, maxsplit=1)[0] for path in detailed})
        replaces = ["triggers"] if "triggers" in detailed else []
        return Diff("some" if detailed else "none", diffs=names, detailed=detailed, replaces=replaces)

    def create(self, resource: Resource, inputs: PropertyMap, *, preview: bool, timeout: float) -> tuple[str, PropertyMap]:
        _require(resource.type)
        identity = resource.urn.rsplit("::", 1)[-1] + secrets.token_hex(4)
        if preview:
            return identity, {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN}
        before: PropertyMap = {"stdout": "", "stderr": ""}
        command = inputs.get("create")
        if command is None:
            return identity, {**inputs, **before}
        return identity, {**inputs, **self._run(resource.urn, plain(command), inputs, before, timeout)}

    def read(
        self, resource: Resource, inputs: PropertyMap | None, outputs: PropertyMap | None
    ) -> tuple[str, PropertyMap, PropertyMap] | None:
        """There is nothing to look up: what is known is what there is."""
        _require(resource.type)
        return resource.id, dict(inputs or {}), dict(outputs or {})

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
        _require(resource.type)
        if preview and _may_print_otherwise(old_inputs, news):
            return {**news, "stdout": UNKNOWN, "stderr": UNKNOWN}
        kept: PropertyMap = {key: old_outputs[key] for key in ("stdout", "stderr", "assets", "archive") if key in old_outputs}
        command = news.get("update", news.get("create"))
        if command is None or preview:
            return {**news, **kept}
        return {**news, **kept, **self._run(resource.urn, plain(command), news, kept, timeout)}

    def delete(self, resource: Resource, inputs: PropertyMap, outputs: PropertyMap, *, timeout: float) -> None:
        _require(resource.type)
        command = outputs.get("delete")
        if command is not None:
            self._run(resource.urn, plain(command), outputs, outputs, timeout)

    def invoke(self, token: str, args: PropertyMap) -> tuple[PropertyMap, list[CheckFailure]]:
        if token != RUN:
            raise ProviderError(f"function {token} is not supported by the embedded engine; use the Pulumi CLI for this program")
        if "command" not in args:
            return {}, [CheckFailure("command", "missing required field 'command'")]
        given = {key: plain(value) for key, value in args.items()}
        found = self._run("", str(given["command"]), args, {})
        return {**given, **{key: plain(value) for key, value in found.items()}}, []

    def close(self) -> None:
        """Nothing to let go of: a command that runs ends by itself."""

    def _run(self, urn: str, command: str, inputs: PropertyMap, before: PropertyMap, timeout: float = 0) -> PropertyMap:
        """Runs ``command`` and gives ``stdout``, ``stderr`` and what ``assetPaths`` and ``archivePaths`` match.

        After ``timeout`` seconds (0: never) it is killed with all that it started.
        """
        given = {key: plain(value) for key, value in inputs.items()}
        hidden = secret_texts({key: value for key, value in inputs.items() if key in _INPUTS})
        directory = os.path.join(self._directory, given.get("dir") or "")
        directory = os.path.normpath(directory)
        environment = dict(os.environ)
        environment.update({str(key): str(value) for key, value in (given.get("environment") or {}).items()})
        if given.get("addPreviousOutputInEnv") is not False:
            for key, name in (("stdout", "PULUMI_COMMAND_STDOUT"), ("stderr", "PULUMI_COMMAND_STDERR")):
                text = plain(before.get(key))
                if isinstance(text, str) and text:
                    environment[name] = text
        argv = [*(given.get("interpreter") or ["/bin/sh", "-c"]), command]

        def report(line: str) -> None:
            self._log("info", mask(line, hidden), urn=urn, ephemeral=True)

        reports = _LOGGING.get(given.get("logging"), (True, True))
        status, out, err, both = _execute(
            argv, directory, environment, (given.get("stdin") or "").encode(), reports, report, timeout
        )
        if status:
            raise ProviderError(mask(f"{status}: running {go_quote(command)}:\n{both}", hidden))
        found: PropertyMap = {}
        for key, text in (("stdout", out.removesuffix("\n")), ("stderr", err.removesuffix("\n"))):
            found[key] = _guarded(text, hidden)
        if given.get("assetPaths") is not None:
            found["assets"] = matching(directory, given["assetPaths"])
        if given.get("archivePaths") is not None:
            files = matching(directory, given["archivePaths"])
            members = [(name, Path(asset.fields["path"]).read_bytes()) for name, asset in files.items()]
            found["archive"] = Archive({"assets": files, "hash": archives.digest(members)})
        return found


def _may_print_otherwise(old: PropertyMap, new: PropertyMap) -> bool:
    """Whether a preview takes the outputs for unknown: where an input changes or is not known. One that is only added does not count."""
    return contains(new, Unknown) or any(plain(value) != plain(new.get(key)) for key, value in old.items())


def _guarded(text: str, hidden: set[str]) -> Any:
    return Secret(text) if any(secret in text for secret in hidden) else text


def _require(token: str) -> None:
    if token != COMMAND:
        raise ProviderError(f"resource type {token} is not supported by the embedded engine; use the Pulumi CLI for this program")


def _wrong_type(key: str, value: Any) -> str | None:
    if value is None or contains(value, Unknown):
        return None
    if key in _TEXTS and not isinstance(value, str):
        return f"expected a string, got {type(value).__name__}"
    if key in _LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return "expected a list of strings"
    if key == "environment" and not (isinstance(value, dict) and all(isinstance(item, str) for item in value.values())):
        return "expected a map of strings"
    if key == "addPreviousOutputInEnv" and not isinstance(value, bool):
        return "expected a boolean"
    if key == "triggers" and not isinstance(value, list):
        return "expected a list"
    if key == "logging" and value not in _LOGGING:
        return f"{value!r} is none of stdout, stderr, stdoutAndStderr, none"
    return None


def _execute(
    argv: list[str],
    directory: str,
    environment: dict[str, str],
    stdin: bytes,
    reports: tuple[bool, bool],
    report: Any,
    timeout: float,
) -> tuple[str, str, str, str]:
    """Runs a program to its end: its status in Go's words (empty on success), stdout, stderr, and both as they came.

    The child has a session of its own: a Ctrl-C on the terminal does not reach it.
    """
    try:
        with _children_lock:  # a child that runs is known, so that kill_children misses none
            child = subprocess.Popen(
                argv,
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            _children.add(child)
    except (OSError, ValueError) as error:
        return _start_failure(argv[0], directory, error), "", "", ""
    try:
        with _killed_after(child, timeout):
            out, err, both = _exchange(child, stdin, reports, report)
            code = child.wait()
    finally:
        with _children_lock:
            _children.discard(child)
    if code == 0:
        return "", out, err, both
    status = f"signal: {signal.strsignal(-code) or -code}".lower() if code < 0 else f"exit status {code}"
    return status, out, err, both


@contextlib.contextmanager
def _killed_after(child: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Kills ``child`` with all that it started when the time is over; 0 seconds: never."""
    if not seconds:
        yield
        return

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _start_failure(program: str, directory: str, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return f"fork/exec {program}: invalid argument"
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    if not os.path.isdir(directory):
        return f"chdir {directory}: {reason}"
    if "/" not in program and error.errno == errno.ENOENT:
        return f"exec: {go_quote(program)}: executable file not found in $PATH"
    return f"fork/exec {program}: {reason}"


def _exchange(child: subprocess.Popen[bytes], stdin: bytes, reports: tuple[bool, bool], report: Any) -> tuple[str, str, str]:
    """Feeds stdin and reads stdout and stderr until both are closed; hands each finished line to ``report``."""
    assert child.stdout is not None
    assert child.stderr is not None
    collected: dict[str, list[bytes]] = {"stdout": [], "stderr": [], "both": []}
    pending = b""
    with selectors.DefaultSelector() as selector, child.stdout, child.stderr:
        selector.register(child.stdout, selectors.EVENT_READ, ("stdout", reports[0]))
        selector.register(child.stderr, selectors.EVENT_READ, ("stderr", reports[1]))
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE)
        rest = memoryview(stdin)
        while selector.get_map():
            for key, _ in selector.select():
                stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
                if key.data is None:
                    rest = _feed(selector, stream, rest)
                    continue
                chunk = os.read(stream.fileno(), 65536)
                if not chunk:
                    selector.unregister(stream)
                    continue
                name, wanted = key.data
                collected[name].append(chunk)
                collected["both"].append(chunk)
                if wanted:
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        report(line.removesuffix(b"\r").decode(errors="replace"))
    if pending:
        report(pending.decode(errors="replace"))
    out, err, both = (b"".join(collected[name]).decode(errors="replace") for name in ("stdout", "stderr", "both"))
    return out, err, both


def _feed(selector: selectors.BaseSelector, stream: IO[bytes], rest: memoryview) -> memoryview:
    """Writes what fits; closes stdin at the end, or when the child does not want more."""
    with contextlib.suppress(BlockingIOError):
        try:
            rest = rest[os.write(stream.fileno(), rest[:65536]) :]
        except BrokenPipeError:
            rest = rest[:0]
    if not rest:
        selector.unregister(stream)
        with contextlib.suppress(BrokenPipeError):
            stream.close()
    return rest
