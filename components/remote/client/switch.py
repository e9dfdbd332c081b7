"""``run switch``: makes a staged release live. The host program does it; this side plans the migrations and looks at the site."""

from __future__ import annotations

import os
import time

from . import activation, serving
from . import connection as connections
from . import restart as restarts
from .canary import ACTIVATION_SECONDS, MAX_TTL, Canary
from .channel import PATIENCE_SECONDS, Host, Reply, words
from .decide import Facts, Plan, plan
from .failure import Failure, printable
from .probe import Probe
from .programs import quote
from .request import arguments, number, one_of, relative, release, service, text
from .snapshot import retention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OBEYED = "expected the server to obey the .htaccess of this build, or the rule of docs/runbook.md (Once, for nginx)"
OBEYED = "expected the server to obey the .htaccess of this build, or the rule of docs/runbook.md (Once, for nginx)"
HIDDEN_SECONDS = 20
"""For all files of a release together that must not be served, at least."""
KINDS = ("sql", "alembic", "prisma", "drush", "command")


class _Switch:
    """The conversation with the host program: ``answer`` is called at each of its lines."""

    def __init__(self, host: Host, request: dict[str, Any]) -> None:
        self.host = host
        self.service = service(request)
        self.release = release(request)
        self.runtime = one_of(request.get("runtime", "files"), "runtime", ("files", "php", "process", "external"))
        self.migrate: dict[str, Any] = request.get("migrate") or {}
        self.schema: dict[str, Any] = request.get("schema") or {}
        self.restart: dict[str, Any] = request.get("restart") or {}
        self.budget = number(self.restart.get("budget", 10), "restart.budget", 1, 3600) if self.restart else 0
        self.wanted = [str(name) for name in self.migrate.get("migrations") or []]
        self.told = activation.told(host.connection.folder, self.service, self.release)
        self.parents = _parents(self.migrate.get("parents") or {})
        self.token = os.urandom(16).hex()
        self.plan = Plan("none")
        self.probe = Probe(request["probe"], host.connection.edge, self.release if self.release != "adopted" else None)
        self.patience = int(2 * self.probe.timeout) + self.budget + PATIENCE_SECONDS + (MAX_TTL if self.runtime == "php" else 0)
        self.fields = self._fields(request)
        self.canary = Canary(self.probe.site, max(ACTIVATION_SECONDS, self.probe.timeout)) if self.runtime == "php" else None

    def _fields(self, request: dict[str, Any]) -> dict[str, str]:
        database: dict[str, Any] = request.get("database") or {}
        kind = one_of(self.migrate["kind"], "migrate.kind", KINDS) if self.migrate else "none"
        commands = [arguments(command, "migrate.commands") for command in self.migrate.get("commands") or []]
        programs = [arguments(names, "programs") for names in request.get("programs") or []]
        directory = self.migrate.get("directory") or ("prisma/migrations" if kind == "prisma" else "migrations")
        return {
            "service": self.service, "release": self.release, "target": relative(request["target"], "target"),
            "strategy": one_of(request.get("strategy", "symlink"), "strategy", ("symlink", "in-place")), "runtime": self.runtime,
            "adopt": one_of(request.get("adopt", "refuse"), "adopt", ("refuse", "replace")),
            "persistent": words([relative(path, "persistent") for path in request.get("persistent") or []]),
            "web_root": relative(request["web_root"], "web_root") if request.get("web_root") else "",
            "page": f"{self.probe.domain} {self.probe.path}",
            "keep": str(number(request.get("keep", 5), "keep", 2, 1000)), **retention(self.host.connection),
            "kind": kind, "mode": one_of(self.migrate.get("mode", "online"), "migrate.mode", ("online", "offline")),
            "directory": relative(directory, "migrate.directory"),
            "migrations": words([relative(name, "migrations") for name in self.wanted]),
            "timeout": str(number(self.migrate.get("timeout", 600), "migrate.timeout", 1, 86400)),
            "check": words(arguments(self.migrate["check"], "migrate.check")) if self.migrate.get("check") else "",
            "commands": str(len(commands)), **{f"command_{n}": words(command) for n, command in enumerate(commands)},
            "db_engine": one_of(database["engine"], "database.engine", ("mariadb", "postgresql")) if database else "",
            "db_name": text(database, "name") if database else "", "schema": str(self.schema.get("query") or ""),
            **restarts.fields(self.restart), "activation": self.told.text,
            "programs": str(len(programs)), **{f"programs_{n}": words(names) for n, names in enumerate(programs)},
            # A process serves from memory and a site without its own release file cannot be told apart: those are probed after the switch.
            "candidate": "1" if self.runtime != "process" and request.get("strategy", "symlink") == "symlink" else "0",
        }  # fmt: skip

    def answer(self, key: str, values: list[str], reply: Reply) -> str | None:
        """What the host program is told at its line ``key``."""
        if key == "decide":
            return self._decide(reply)
        if key == "probe" and values[0] in ("runtime", "running"):
            return self.canary.answer(values, sum(int(told[0]) for told in reply.all("renewed"))) if self.canary else "ok"
        if key == "check":
            return self._check(reply)
        if key == "probe":
            wrong = self._look(values)
            if wrong == "ok" and values[0] in ("candidate", "live"):
                wrong = self._hidden(values, reply) or "ok"
            if wrong in ("ok", "inconclusive"):
                return wrong
            what = "" if values[0] == "down" else "the smoke test failed: "
            return f"fail {what}{printable(wrong)}"
        return None

    def _hidden(self, values: list[str], reply: Reply) -> str | None:
        """Asks for files of a new release that are not for the web, as a candidate and, since there the live release's own rules hold too,
        again where it is served; what is wrong or ``None``."""
        files = [(told[0], told[1]) for told in reply.all("hidden") if len(told) == 2]
        if not files:
            return None
        bypass = {"X-Mo-Probe": values[1]} if values[0] == "live" and values[1:2] not in ([], [""]) else {}
        deadline = time.monotonic() + max(self.probe.timeout, HIDDEN_SECONDS)
        wrong = serving.served(self.probe.site, f"/{values[1]}" if values[0] == "candidate" else "", files, deadline, bypass)
        return wrong and f"the site {wrong}; {OBEYED}"

    def _decide(self, reply: Reply) -> str:
        kind = self.migrate.get("kind", "none") if self.fields["db_engine"] else "none"
        state = next(iter(reply.all("state")), ["none", "-", "-", "-"])
        begun = next(((values[0], values[1]) for values in reply.all("begun") if values[2:] != ["steps"]), None)
        applied = [(values[0], values[1], values[2]) for values in reply.all("applied") if len(values) >= 3]
        facts = Facts(
            kind, self.wanted, applied, files={values[0]: values[1:] for values in reply.all("file")}, parents=self.parents,
            value=reply.first("schema") or None, expect=self.schema.get("expect"), begun=begun, live=state[1] == self.release,
            back=self.told.back, tables=int(reply.first("tables") or 0), service=self.service,
        )  # fmt: skip
        self.plan = plan(facts)
        lines = {
            "schema": self.plan.schema, "pending": words(self.plan.pending), "expect": str(facts.expect or ""), "token": self.token,
            "refuse": self.plan.refusal.text if self.plan.refusal else "",
            "hidden": serving.FOR_GREP,
            **({"canary": self.canary.name, "canary_digest": self.canary.digest} if self.canary else {}),
        }  # fmt: skip
        return "\n".join(f"d_{name}={quote(value)}" for name, value in lines.items()) + "\n."

    def skipped(self) -> list[str]:
        """What a rollback did not run, as a sentence."""
        if not self.plan.skipped:
            return []
        return [
            f"a rollback runs no migration; the database lacks {', '.join(self.plan.skipped)} of {self.release} "
            f"(bin/mo deploy --only {self.service} runs what the next release brings)"
        ]

    def _check(self, reply: Reply) -> str:
        """Whether the database has, after the migration, all that the release brings: a tool that failed may have ended well."""
        applied = [(values[0], values[1], values[2]) for values in reply.all("after") if len(values) >= 3]
        left = plan(Facts(self.migrate["kind"], self.wanted, applied, parents=self.parents)).pending if self.wanted else []
        return f"fail after the migration the database still lacks {printable(', '.join(left))}" if left else "ok"

    def _look(self, values: list[str]) -> str:
        """``ok``, ``inconclusive``, or what is wrong."""
        what, argument = values[0], values[1] if len(values) > 1 else ""
        bypass = {"X-Mo-Probe": argument}
        if what == "live":
            headers = bypass if argument else {}
            return self.probe.live(self.budget, headers) or (None if argument else self.probe.served_secrets()) or "ok"
        if what == "down":
            return self.probe.closed(bypass) or "ok"
        deadline = time.monotonic() + self.probe.timeout
        if what == "candidate":
            if self.probe.daemon_path is not None and self.probe.daemon(deadline, {}) is None:
                return "inconclusive"  # the domain leads to the daemon, which knows no folder of ours
            wrong = self.probe.once(deadline, "/" + argument)
            # Where another release answers below the folder, its front controller does: nothing is known of the candidate.
            return "inconclusive" if wrong and self.probe.told not in (None, self.release) else wrong or "ok"
        expected, self.probe.expected = self.probe.expected, None
        try:
            return self.probe.once(deadline, "/" + argument) or "ok"
        finally:
            self.probe.expected = expected


def _parents(given: object) -> dict[str, list[str]]:
    if not isinstance(given, dict) or not all(isinstance(names, list) for names in given.values()):
        raise Failure("The request's migrate.parents is no mapping of migrations to those before them.")
    return {str(name): [str(parent) for parent in names] for name, names in given.items()}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Request and result: docs/host-protocol.md."""
    host = Host(connections.load(str(request["stack"])))
    talk = _Switch(host, request)
    reply = host.call(
        "switch", talk.fields, f"{talk.service}: switching to {talk.release}", answer=talk.answer, patience=talk.patience
    )
    schema, previous, at, snapshot, gap = next(iter(reply.all("result")), ["none", "-", "-", "-", "0"])
    versions = [values[0] for values in (*reply.all("schema"), *reply.all("verified")) if values and values[0]]
    live_before = next(iter(reply.all("state")), ["none", "-"])[1]
    return {
        "release": talk.release, "live": talk.release, "previous": None if previous == "-" else previous,
        "changed": live_before != talk.release, "schema": "migrated" if schema == "pending" else schema,
        "schema_version": printable(versions[-1])[:100] if versions else None,
        "migrations": [values[0] for values in reply.all("migrated")], "snapshot": None if snapshot == "-" else snapshot,
        "gap_ms": int(gap), "at": at, "status": talk.probe.answered,
        "notes": [*(values[0] for values in reply.all("note")), *talk.skipped()], "files_only": talk.probe.files_only,
        "activated": _activated(talk.canary),
        "recovered": [values[0] for values in reply.all("recovered")],
        "left_alone": [values[0] for values in reply.all("left-alone")], "steps": reply.steps,
    }  # fmt: skip


def _activated(canary: Canary | None) -> dict[str, str | int] | None:
    """How PHP came to run the release, and how long after the rename; ``None`` where nothing had to be proven."""
    if canary is None or not canary.ms or canary.facts is None:
        return None
    facts = canary.facts
    return {
        "how": canary.how,
        "ms": canary.ms,
        "php": printable(facts.php)[:20],
        "sapi": printable(facts.sapi)[:20],
        "opcache": facts.opcache,
    }
