"""``run mend``: puts the files of a live release back to those of its artefact, each by one rename, while it serves."""

from __future__ import annotations

from . import artefact as artefacts
from . import connection as connections
from . import finished
from .canary import ACTIVATION_SECONDS, MAX_TTL, Canary
from .channel import PATIENCE_SECONDS, Host, Reply
from .failure import Failure
from .probe import Probe
from .request import relative, release, service
from .stage import transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``service``, ``release`` (live), ``target``, ``persistent``; ``runtime``, ``probe``, ``web_root`` as of ``switch``, where
    PHP has to be asked afterwards whether it runs what is there now. What the running site owns and what Python compiled stays.
    Result: ``sent``, bytes; ``notes``: what is kept of what went."""
    key, wanted = service(request), release(request)
    persistent = tuple(relative(path, "persistent") for path in request.get("persistent") or [])
    host = Host(connections.load(str(request["stack"])))
    try:
        artefact = artefacts.find(key, wanted)
    except artefacts.Absent:
        raise _without(host, key, wanted, relative(request["target"], "target")) from None
    artefacts.compare(artefact, key)
    fields = {**host.envelope(), "service": key, "release": wanted, "target": relative(request["target"], "target")}
    kept = (*(name for name in artefacts.RESERVED if name != ".mo-stage"), *persistent)
    reply, sent = transfer(host, artefact, fields, f"{key}: mending {wanted}", "mend", kept)
    if request.get("runtime") == "php" and request.get("probe"):
        _prove(host, fields, request["probe"], relative(request["web_root"], "web_root") if request.get("web_root") else "")
    return {"release": wanted, "sent": sent, "notes": [values[0] for values in reply.all("note")]}


def _prove(host: Host, fields: dict[str, str], raw: dict[str, Any], web_root: str) -> None:
    probe = Probe(raw, host.connection.edge, None)
    canary = Canary(probe.site, max(ACTIVATION_SECONDS, probe.timeout))

    def answer(line: str, values: list[str], reply: Reply) -> str | None:
        return canary.answer(values, sum(int(told[0]) for told in reply.all("renewed"))) if line == "probe" else None

    asked = {**fields, "runtime": "php", "web_root": web_root, "canary": canary.name, "canary_digest": canary.digest}
    host.call(
        "prove", asked, f"{fields['service']}: mending {fields['release']}", answer=answer, patience=MAX_TTL + PATIENCE_SECONDS
    )


def _without(host: Host, key: str, wanted: str, target: str) -> Failure:
    """What to say where this machine has no artefact: whole files of the release are nowhere else."""
    found = finished.look(host, key, wanted, target, "none")
    commit = str(found.raw.get("commit") or "") if found is not None else ""
    return Failure(
        f"{key}: the files of {wanted} can be put back only from its artefact, which this machine does not have: build its commit"
        f"{' ' + commit[:12] if commit else ''} here (bin/mo build {key}) and repair again, or make another release live "
        f"(bin/mo rollback --only {key}); nothing was changed."
    )
