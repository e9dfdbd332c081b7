"""``run stage``: brings an artefact to the host in one rsync channel; the host's far end prepares, verifies and finishes it. A release that
lies finished there needs no artefact."""

from __future__ import annotations

import os

from . import artefact as artefacts
from . import connection as connections
from . import finished
from .channel import Host, Reply, encode, lines_of, tell_waiting
from .child import Child
from .failure import Failure
from .programs import altered, boot, quote, upload
from .request import number, one_of, relative, release, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODES = "--chmod=Du=rwx,Dgo=rx,D-s,Fu+rw,Fgo+r,Fgo-w,F-s,Fa+X"
"""Directories 755, files 644, or 755 where the artefact's is executable."""
ATTEMPTS = 3
IO_SECONDS = 60
"""After so much silence each end of rsync gives up. Between two bytes lies at most the reading of an artefact."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request and result: docs/host-protocol.md."""
    key, wanted = service(request), release(request)
    one_of(request.get("strategy", "symlink"), "strategy", ("symlink", "in-place"))
    number(request.get("keep", 5), "keep", 1, 1000)
    dependencies = request.get("dependencies")
    if dependencies is not None:
        one_of(dependencies, "dependencies", ("venv",))
    target = relative(request["target"], "target")
    host = Host(connections.load(str(request["stack"])))
    try:
        artefact = artefacts.find(key, wanted)
        artefacts.compare(artefact, key)
    except Failure as problem:
        return _on_host(host, key, wanted, target, dependencies or "none", problem)
    manifest = artefact.manifest
    fields = {
        **host.envelope(), "service": key, "release": wanted, "target": target,
        "hard_links": "1" if request.get("hard_links", True) else "0", "dependencies": dependencies or "none",
        "files": str(len(manifest.files)), "links": str(len(manifest.links)), "bytes": str(manifest.size),
    }  # fmt: skip
    reply, sent = transfer(host, artefact, fields, f"{key}: staging {wanted}")
    uploaded = not reply.all("already")
    return {
        "release": wanted, "files": len(manifest.files), "bytes": manifest.size, "uploaded": uploaded,
        "sent": sent if uploaded else 0, "steps": reply.steps,
    }  # fmt: skip


def _on_host(host: Host, key: str, wanted: str, target: str, dependencies: str, problem: Failure) -> dict[str, Any]:
    """The result where this machine has no artefact that could be sent, as ``problem`` says: the host is the store of what it holds."""
    found = finished.look(host, key, wanted, target, dependencies)
    if found is not None:
        return {
            "release": wanted, "files": len(found.files), "bytes": found.size, "uploaded": False, "sent": 0, "steps": [],
        }  # fmt: skip
    if not isinstance(problem, artefacts.Absent):
        raise problem
    raise Failure(
        f"{key}: release {wanted} is neither on {host.connection.name} (finished) nor in dist/ of this machine; build its commit again "
        f"(bin/mo build {key}), or take a release that the host has (bin/mo history)."
    )


def transfer(
    host: Host, artefact: artefacts.Artefact, fields: dict[str, str], what: str, program: str = "stage", kept: tuple[str, ...] = ()
) -> tuple[Reply, int]:
    """One rsync to the host's ``program``; what it said, and the bytes sent. ``kept``: paths below the release that are not touched."""
    lists = f"{host.master.base}.stage.{os.getpid()}"
    texts = artefacts.lists(artefact)
    try:
        os.makedirs(lists + "/.mo-stage", exist_ok=True)
        for name, text in texts.items():
            with open(f"{lists}/.mo-stage/{name}", "wb") as file:
                file.write(text)
        for _ in range(ATTEMPTS):
            host.master.ensure()
            reply, code, sent = _rsync(host, artefact.tree, lists, fields, what, program, kept)
            if reply.failure is not None:
                raise Failure(f"{what} on {host.connection.name}: {reply.failure}")
            if reply.all("already") or (code == 0 and reply.all("staged")):
                return reply, sent
            if any("@missing" in line for line in reply.noise) or reply.all("missing"):
                upload(host.master, host.tool, host.started)
            elif reply.all("altered"):
                raise Failure(f"{what} on {host.connection.name}: {altered(host.tool)}.")
            elif reply.all("hello"):
                break
        tail = "; ".join(reply.noise)[-300:]
        raise Failure(
            f"{what} on {host.connection.name}: rsync ended with code {code}: {tail}; run it again, it goes on where it stopped."
        )
    finally:
        for name in texts:
            if os.path.exists(f"{lists}/.mo-stage/{name}"):
                os.unlink(f"{lists}/.mo-stage/{name}")
        os.rmdir(lists + "/.mo-stage")
        os.rmdir(lists)


def kept_filters(paths: tuple[str, ...]) -> list[str]:
    """rsync's options that leave these paths of the far end alone."""
    return ["--exclude=/" + "".join("\\" + c if c in "*?[\\" else c for c in path) for path in paths]


def _rsync(
    host: Host, tree: str, lists: str, fields: dict[str, str], what: str, program: str, kept: tuple[str, ...]
) -> tuple[Reply, int, int]:
    """One rsync; gives what the far end said, the exit code and the bytes of file data sent."""
    far = boot(host.tool, program) + " " + quote(encode(fields).decode("utf-8", "surrogateescape"))
    # Contents are compared (-c), times are not kept: an unchanged file is a hard link to the live one, whenever it was built.
    command = [
        "rsync", "-rlpc", "--delete", f"--timeout={IO_SECONDS}",
        *kept_filters(kept), MODES, "--stats", "-e", " ".join(quote(word) for word in host.master.command()),
        f"--rsync-path={far}", f"{tree}/", f"{lists}/.mo-stage", f"{host.master.destination}:./",
    ]  # fmt: skip
    reply = Reply()
    try:
        child = Child(command, host.master.slot(), talk=False, environment={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise Failure("The program `rsync` is not installed here; install rsync 3.") from None
    try:
        for raw in lines_of(child.stderr, reply, what):
            taken = reply.take(raw.decode("utf-8", "surrogateescape"))
            if taken and taken[0] == "waiting":
                tell_waiting(what, taken[1])
        stats = child.stdout.read().decode(errors="replace")
        code = child.wait()
    except BaseException:
        child.terminate()
        raise
    reply.end()
    sent = next((line.split(":", 1)[1] for line in stats.splitlines() if line.startswith("Total transferred file size")), "0")
    return reply, code, int("".join(c for c in sent.split("bytes")[0] if c.isdigit()) or 0)
