"""What a rotation is of, how far it came, and what it did, as the stack's state tells. How it works: ``components/generated_secret.py``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog import reader
from catalog.models import Service
from catalog.secret_names import generated, panel_password
from components.generated_secret import NONE_YET
from operations.display import NOT_RESTARTED
from operations.exit_codes import USAGE
from operations.problem import Problem

OWNERS = {"SMTP_USER": "smtpUser", "SMTP_PASS": "smtpPassword", "SSH_PRIVATE_KEY": "sshPrivateKey"}
"""Secrets that others give out, and the settings that hold them."""


@dataclass(frozen=True)
class Subject:
    """What is rotated: the password of the database of the service ``name``, or the generated secret ``name``. ``users``: the services that
    read it; ``held``: whether its former password waits for ``--revoke``, because the daemon that uses it is somebody else's."""

    name: str
    kind: Literal["database", "secret"]
    users: tuple[str, ...]
    held: bool = False

    @property
    def resource(self) -> str:
        """The name of the random resource."""
        return f"{self.name}-db-password" if self.kind == "database" else f"secret-{self.name.lower().replace('_', '-')}"


@dataclass(frozen=True)
class Status:
    """How far the last rotation came. ``rotation``: its id, ``None`` before the first; ``finished``: every place has the new value, and the
    former one is revoked."""

    rotation: str | None
    finished: bool


@dataclass(frozen=True)
class Done:
    """What an update did: ``services``: result of ``env`` for each service that reads the value; ``revoked``: whose former passwords;
    ``refused``: whether the former one was tried and refused; ``held``: whether it waits for ``--revoke``."""

    rotation: str | None
    finished: bool
    services: Mapping[str, Mapping[str, Any]]
    revoked: Sequence[str] = ()
    refused: bool = False
    held: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


def subject(name: str, services: Mapping[str, Service], stack: str, panels: Collection[str] = ()) -> Subject:
    """What ``name`` stands for. ``panels``: the servers that only the hoster's panel administers. Raises ``Problem`` for what cannot be
    rotated, with the way that there is."""
    made = generated(reader.read())
    if name in services:
        if services[name].database is None:
            own = [secret for secret in services[name].secrets if secret in made]
            hint = f" Its generated secrets: {', '.join(own)}." if own else ""
            raise Problem(f"{name} has no database.{hint}", USAGE)
        database = services[name].database
        if database is not None and database.server in panels:
            raise Problem(f"{panel_password(stack, name, database)}.", USAGE)
        return Subject(name, "database", (name,), services[name].runtime == "external")
    if name in made:
        return Subject(name, "secret", tuple(key for key, service in services.items() if name in service.secrets))
    if name in OWNERS:
        raise Problem(
            f"{name} is given out by others and not generated: have a new one made where it comes from, then "
            f"bin/pulumi config set --stack {stack} --secret mo:{OWNERS[name]}, then bin/mo deploy --stack {stack}.",
            USAGE,
        )
    known = [*(key for key, service in services.items() if service.database), *made]
    raise Problem(f"Nothing to rotate is named {name}. There are: {', '.join(known)}.", USAGE)


def status(resources: Sequence[Mapping[str, Any]], wanted: Subject) -> Status:
    """How far the last rotation came. Raises ``Problem`` where there is nothing yet that could be rotated."""
    made = _named(resources, wanted.resource)
    if made is None:
        raise Problem(f"{wanted.name} was never deployed, so there is nothing to rotate: bin/mo deploy.")
    told = ((made.get("outputs") or {}).get("keepers") or {}).get("rotation")
    rotation = None if told == NONE_YET else told
    if wanted.kind == "secret":
        return Status(rotation, True)
    return Status(
        rotation, _answer(resources, f"{wanted.name}-revoke").get("rotation") == rotation and not _held(resources, wanted)
    )


def done(resources: Sequence[Mapping[str, Any]], wanted: Subject) -> Done:
    """What the state knows after the update."""
    now = status(resources, wanted)
    revoked = _answer(resources, f"{wanted.name}-revoke") if wanted.kind == "database" else {}
    if revoked.get("rotation") != now.rotation:
        revoked = {}  # of the rotation before
    services = {key: _environment(resources, key) for key in wanted.users}
    notes = [note for answer in (*services.values(), revoked) for note in answer.get("notes") or ()]
    return Done(
        now.rotation,
        now.finished,
        services,
        tuple(revoked.get("revoked") or ()),
        bool(revoked.get("refused")),
        wanted.held and not now.finished,
        tuple(notes),
    )


def _environment(resources: Sequence[Mapping[str, Any]], service: str) -> dict[str, Any]:
    """The result of ``env``; of a daemon that was not restarted the host says so in a note alone."""
    answer = _answer(resources, f"{service}-env")
    if any(NOT_RESTARTED in str(note) for note in answer.get("notes") or ()):
        answer["restarted"] = False
    return answer


def _held(resources: Sequence[Mapping[str, Any]], wanted: Subject) -> bool:
    """Whether a former password of somebody else's daemon stays: its first one does not count, since there is none before it."""
    answer = _answer(resources, f"{wanted.name}-revoke")
    return bool(answer.get("held")) and bool(answer.get("rotation"))


def _named(resources: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The resource of this name; one that waits for its deletion does not count."""
    found = (r for r in resources if str(r.get("urn")).endswith(f"::{name}") and not r.get("delete"))
    return next(found, None)


def _answer(resources: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    try:
        answer = json.loads((_named(resources, name) or {})["outputs"]["stdout"])
    except (KeyError, TypeError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}
