"""``run files``: compares every file of the live releases with its manifest, by content. One connection; nothing is written."""

from __future__ import annotations

from . import connection as connections
from . import jsontext
from .artefact import RESERVED, find
from .channel import Host, Reply, words
from .facts import ask
from .failure import Failure
from .manifest import verified
from .request import relative, release, service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT = ("common", "files")
MOST = 50
"""How many names of each kind are told."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``services``: [{service, target, release, persistent}]. Result: ``services.<key>``: ``live``, ``manifest`` (whose manifest
    it was compared with: ``here``, ``host`` or ``None``: not compared), ``changed``, ``added``, ``missing`` (at most 50 names each),
    ``count`` (of all)."""
    host = Host(connections.load(str(request["stack"])))
    entries: list[dict[str, Any]] = request.get("services") or []
    manifests = {entry["service"]: _here(entry) for entry in entries}
    fields = {"root": host.connection.root, "count": str(len(entries))}
    for n, entry in enumerate(entries):
        persistent = [relative(path, "persistent") for path in entry.get("persistent") or []]
        want = "0" if manifests[service(entry)] else "1"
        fields[f"service_{n}"] = words([service(entry), relative(entry["target"], "target"), want, *persistent])
    reply = ask(host, SCRIPT, fields, "files")
    return {"host": host.connection.name, "services": {entry["service"]: _compared(entry, manifests, reply) for entry in entries}}


def _here(entry: dict[str, Any]) -> dict[str, Any] | None:
    """The manifest of the release that must be live, from this machine: the host's own could be changed with the files."""
    if not entry.get("release"):
        return None
    try:
        return find(service(entry), release(entry)).manifest.raw
    except Failure:
        return None


def _compared(entry: dict[str, Any], manifests: dict[str, dict[str, Any] | None], reply: Reply) -> dict[str, Any]:
    key = entry["service"]
    live = next((values[1] for values in reply.all("live") if values[0] == key), "-")
    manifest, whose = manifests[key], "here"
    if manifest is None or manifest.get("release") != live:
        manifest, whose = _from_host(key, live, reply), "host"
    result: dict[str, Any] = {
        "live": None if live == "-" else live, "manifest": None, "changed": [], "added": [], "missing": [], "count": 0,
    }  # fmt: skip
    if manifest is None or not any(values[0] == key for values in reply.all("all")):
        return result
    if not manifest:
        # Whoever has changed the files may have changed the list that they are compared with.
        return {**result, "manifest": whose, "changed": [f"releases/{live}.json, the manifest of the release"], "count": 1}
    found = _found(key, reply)
    expected = {file["path"]: file["sha256"] for file in manifest["files"]}
    expected.update({link["path"]: "link " + link["target"] for link in manifest.get("links") or []})
    ours = (*RESERVED, *(entry.get("persistent") or ()))
    expected = {path: value for path, value in expected.items() if not _below(path, ours)}
    found = {path: value for path, value in found.items() if not _below(path, ours) and not _probe(path, value)}
    kinds = {
        "changed": [path for path in expected if path in found and found[path] != expected[path]],
        "added": [path for path in found if path not in expected and not _compiled(path, expected)],
        "missing": [path for path in expected if path not in found],
    }
    result["manifest"] = whose
    result["count"] = sum(map(len, kinds.values()))
    result.update({kind: sorted(paths)[:MOST] for kind, paths in kinds.items()})
    return result


def _from_host(key: str, live: str, reply: Reply) -> dict[str, Any] | None:
    """The host's manifest of the live release, ``None`` where there is none, empty where its list does not give the release's id."""
    text = "".join("\t".join(values[1:]) + "\n" for values in reply.all("manifest") if values[0] == key)
    if not text:
        return None
    try:
        # What was adopted has no id that its list could give.
        if live == "adopted":
            adopted: dict[str, Any] = jsontext.loads(text)
            return adopted
        return verified(text.encode("utf-8", "surrogateescape"), key, live, "", "").raw
    except (ValueError, RecursionError, Failure):
        return {}


def _found(key: str, reply: Reply) -> dict[str, str]:
    found = {}
    for values in reply.all("file"):
        if values[0] == key:
            digest, _, path = "\t".join(values[1:]).partition("  ")
            # A name with a backslash or a line break comes escaped after a backslash; a release has none, so it is an added one.
            found[path.removeprefix("./")] = digest if len(digest) == 64 else "unreadable"
    for values in reply.all("link"):
        if values[0] == key and len(values) > 2:
            found[values[1].removeprefix("./")] = "link " + "\t".join(values[2:])
    return found


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _probe(path: str, value: str) -> bool:
    """Whether it is the link of a candidate's probe, which is there for a moment (docs/host-protocol.md)."""
    return value.startswith("link ") and path.startswith("mo-probe-") and len(path) == 41


def _compiled(path: str, expected: dict[str, str]) -> bool:
    """Whether Python made it from a source of the release: ``<folder>/__pycache__/<name>.cpython-<version>.pyc``."""
    folder, cache, name = path.rpartition("__pycache__/")
    return bool(cache) and name.endswith(".pyc") and folder + name.split(".", 1)[0] + ".py" in expected
