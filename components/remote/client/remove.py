"""``run remove``: takes a service off its host and its database server for good, after a final dump that a test restore has proved.

Order: final dump (outside the service's folder), test restore, database, accounts, files; the file that says what is to be removed goes
last. Each step finds out by itself what an earlier, cut run has done.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field

from . import connection as connections
from . import jsontext
from .channel import Host
from .failure import Failure
from .generation import require_latest
from .probe import Probe
from .request import one_of, relative, service
from .servers import Server, checked, may_administer, scratch
from .snapshot import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .channel import Reply
    from .connection import Connection


@dataclass
class Found:
    """What there is of a service. ``persistent``: bytes of the running site in ``shared/``; ``site``: bytes of its folder where it is
    deployed in place; ``page``: domain and path that its last switch asked; ``data``: engine, host, port, name and user of its database as
    its ``secrets.env`` has them; ``server``: the stack's name for that server; ``database``: whether it is there, ``None`` where we are no
    administrator and cannot know."""

    keep: str
    there: bool
    begun: bool
    releases: int
    snapshots: int
    bytes: int
    target: str | None
    page: str | None
    process: bool
    persistent: int
    site: int
    data: tuple[str, ...] | None
    server: str | None = None
    database: bool | None = None
    accounts: list[str] = field(default_factory=list)
    shares: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Final dumps of an earlier, cut removal that a test restore has proved."""


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request: ``action`` (``look``, ``drop``), ``target`` (path or null: as the host knows it), ``keep`` (folder on the host or null),
    ``database`` (``server``, ``name``, ``user``, or null: as the host knows it), ``unverified`` (bool: without a test of the dump),
    ``folder`` (what an earlier ``look`` told as ``keep``, or null), ``probe`` (as of ``switch``, or null: the page that the last switch
    asked), ``site_open`` (bool: also where the site cannot be closed).

    Result: what was found (``Found``); ``drop`` adds ``dump`` (its manifest, or null where there was no database any more), ``verified``,
    ``removed``, ``by_hand`` (sentences) and ``notes``."""
    key = service(request)
    action = one_of(request.get("action", "look"), "action", ("look", "drop"))
    connection = connections.load(str(request["stack"]))
    host = Host(connection)
    fields = {
        "service": key, "target": relative(request["target"], "target") if request.get("target") else "",
        "keep": _folder(request, "keep"),
        "folder": _folder(request, "folder"), "scratch": "", "token": os.urandom(16).hex(),
        "site_open": "yes" if request.get("site_open") else "",
    }  # fmt: skip
    found = look(host, fields, request.get("database"))
    answer: dict[str, Any] = (
        {name: getattr(found, name) for name in Found.__slots__} if hasattr(Found, "__slots__") else dict(vars(found))
    )
    if action == "look":
        return answer
    _refuse_shared(key, found)
    return {**answer, **_Removal(host, fields, found, bool(request.get("unverified")), request.get("probe")).run()}


def _folder(request: dict[str, Any], key: str) -> str:
    keep = request.get(key) or ""
    if not isinstance(keep, str) or any(c in keep for c in "\n\r\0") or ".." in keep.split("/"):
        raise Failure(f"The folder {keep!r} for the final dump must be a plain path on the host.")
    return keep.rstrip("/")


def look(host: Host, fields: dict[str, str], declared: dict[str, Any] | None) -> Found:
    """Asks the host, and the database server where the stack has its administrator."""
    reply = host.call("remove", {**fields, "action": "look"}, f"{fields['service']}: looking at what there is")
    there = next(iter(reply.all("there")), [])
    data = next((tuple(values) for values in reply.all("data")), None)
    if data is None and declared:
        server = host.connection.servers.get(str(declared.get("server"))) or {}
        if server:
            values = (server.get("engine"), server.get("host"), server.get("port"), declared.get("name"), declared.get("user"))
            data = tuple(map(str, values))
    numbers = [int(value) if value.strip().isdigit() else 0 for value in there]
    found = Found(
        keep=reply.first("keep"), there=bool(there), begun=bool(reply.all("begun")), releases=numbers[0] if there else 0,
        snapshots=numbers[1] if there else 0, bytes=numbers[2] * 1024 if there else 0, target=reply.first("target") or None,
        page=reply.first("page") or None, process=bool(reply.all("process")), persistent=int(reply.first("shared", "0") or 0) * 1024,
        site=int(reply.first("site", "0") or 0) * 1024, data=data,
        shares=sorted({f"service {values[0]} (its secrets.env)" for values in reply.all("shares")}),
        kept=[values[0].removesuffix(".json") for values in reply.all("kept")],
    )  # fmt: skip
    if data is not None:
        _ask_server(host.connection, found)
    return found


def _ask_server(connection: Connection, found: Found) -> None:
    assert found.data is not None
    engine, address, port, name, user = found.data
    checked(name)
    checked(user)
    found.server = next(
        (
            key
            for key, server in connection.servers.items()
            if server.get("engine") == engine and str(server.get("host")) == address and str(server.get("port")) == port
        ),
        None,
    )
    if not may_administer(connection, found.server):
        return
    own = _owner(engine, user)
    server = Server(connection, str(found.server))
    try:
        found.database = server.has_database(name)
        found.accounts = server.accounts(own)
        found.shares += [f"account {other}" for other in server.others(name, own)]
    finally:
        server.close()


def _owner(engine: str, user: str) -> str:
    """The service's own role: a rotation on PostgreSQL may have the application log in as ``svc_x_b``, which stands for ``svc_x``."""
    from .postgresql_account import LETTERS

    return user[:-2] if engine == "postgresql" and user[-2:-1] == "_" and user[-1:] in LETTERS else user


def _refuse_shared(key: str, found: Found) -> None:
    if found.shares and found.data is not None:
        raise Failure(
            f"{key}: its database {found.data[3]} is used by others too: {', '.join(found.shares)}; expected it to be this service's "
            "alone; nothing was removed"
        )


class _Removal:
    def __init__(self, host: Host, fields: dict[str, str], found: Found, unverified: bool, probe: dict[str, Any] | None) -> None:
        self.host, self.fields, self.found, self.unverified = host, {**fields, "folder": found.keep}, found, unverified
        self.key = fields["service"]
        domain, _, path = (found.page or "").partition(" ")
        self.probe = probe or ({"domain": domain, "path": path} if domain else None)
        self.removed: list[str] = []
        self.by_hand: list[str] = []

    def run(self) -> dict[str, Any]:
        found = self.found
        dump, tested = None, None
        if found.there and found.data is not None and found.database is not False:
            dump, tested = self._dump()
        if found.data is not None:
            self._drop_database(found.data)
        reply = self.host.call("remove", {**self.fields, "action": "files"}, f"{self.key}: removing its files")
        if reply.all("gone"):
            self.removed.append(f"{found.releases} releases, {found.snapshots} snapshots and the secrets file on the host")
            self.removed += [f"the path {found.target}"] if found.target else []
        if found.process:
            self.by_hand.append("stop its process in the hoster's panel, if it still runs")
        self.by_hand += [values[0] for values in reply.all("note")]
        return {
            "dump": dump, "verified": rows(tested), "removed": self.removed, "by_hand": self.by_hand,
            "kept_in": reply.first("kept-in") or None, "notes": [values[0] for values in tested.all("note")] if tested else [],
        }  # fmt: skip

    def _dump(self) -> tuple[dict[str, Any] | None, Reply | None]:
        """The final dump's manifest, and what its test said. The site is closed from then on; where anything fails it is open again."""
        assert self.found.data is not None
        engine, _, _, database, user = self.found.data
        connection, server = self.host.connection, self.found.server
        try:
            with ExitStack() as held:
                test = nullcontext("") if self.unverified else scratch(connection, server, database, _owner(engine, user))
                fields = {**self.fields, "action": "dump", "scratch": held.enter_context(test)}

                def answer(line: str, _values: list[str], _reply: Reply) -> str | None:
                    if line == "probe":
                        return self._look()
                    if line != "proved":
                        return None
                    held.close()
                    return "ok"

                made = self.host.call("remove", fields, f"{self.key}: final dump", answer=answer)
        except Failure as failure:
            # Deleted in the panel after a run that was cut: the dump of then is the final one.
            if self.found.database is None and self.found.kept and "cannot be dumped" in str(failure):
                return None, None
            if "cannot be used by" in str(failure) and not may_administer(connection, server):
                raise Failure(
                    f"{failure}; make the database {database}_verify in the hoster's panel, with all rights for {user}, so that the final "
                    "dump can be tested there, or go on without the test (--unverified)"
                ) from None
            raise
        return jsontext.loads(next(iter(made.all("made")))[2]), made

    def _look(self) -> str:
        """What is said to the host's question whether the site is closed."""
        if self.probe is None:
            return "fail its address is known neither from the catalogue nor from its last switch"
        return Probe(self.probe, self.host.connection.edge, None).shut(self.fields["token"])

    def _drop_database(self, data: tuple[str, ...]) -> None:
        engine, _, _, name, user = data
        settings = self.host.connection.servers.get(self.found.server or "") or {}
        if settings.get("provision") == "existing" or not may_administer(self.host.connection, self.found.server):
            self.by_hand.append(f"delete the database {name} and the account {user} in the hoster's panel")
            return
        server = Server(self.host.connection, str(self.found.server))
        try:
            require_latest(self.host, self.key)  # the server knows of no runs
            if server.has_database(name):
                server.drop(name)
                self.removed.append(f"the database {name} on {self.found.server}")
            for account in server.accounts(_owner(engine, user)):
                server.drop_account(account)
                self.removed.append(f"the account {account} on {self.found.server}")
        finally:
            server.close()
