"""Reads a stack's settings: the ``mo:`` configuration, the file of ``mo:settingsFile`` laid over it, and the owner's secrets.

What is missing is named all at once, each with the command that sets it.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from catalog import mistakes, reader, yaml_source
from catalog.models import Database
from catalog.secret_names import ENVIRONMENTS, database_secrets
from catalog.settings import OwnerSecrets, StackSettings

SECRET_KEYS = tuple(field.alias or name for name, field in OwnerSecrets.model_fields.items())
"""The settings that must be encrypted."""
SECRET_MAPS = ("existing", "application")
"""Those that hold several values, each of them encrypted."""
_HINTS = {
    "host.hostKeys": "the host's public keys as `ssh-keyscan` prints them, compared with what the hoster publishes",
    "servers.external-mariadb.host": "MYSQL_HOST",
    "servers.external-postgresql.host": "PG_HOST",
    "github.reviewers[0]": "who approves a deployment, by number: gh api users/NAME --jq .id",
    "provenance.signers[0]": "who may sign artefacts: `cat .mo/signing.pub` after `bin/mo build`; of another key docs/runbook.md says how",
    "webhookSecret": "16 characters or more; signs what n8n is told, which has it as MO_WEBHOOK_SECRET",
    "githubToken": "a token that may administer the repository's environments and secrets",
}


M = TypeVar("M", bound=BaseModel)


class SettingsError(ValueError):
    """The stack's settings cannot be used. ``problems``: one sentence for each; secrets stand in none. ``missing``: of those, the settings
    that are not there, each with the command that sets it."""

    def __init__(self, problems: list[str], missing: Mapping[str, str] | None = None) -> None:
        self.problems = problems
        self.missing = dict(missing or {})
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Loaded:
    """A stack's settings and the owner's secrets."""

    settings: StackSettings
    secrets: OwnerSecrets


def load(raw: Mapping[str, str], project: Path, stack: str) -> Loaded:
    """The settings of ``stack``. ``raw``: the keys below ``mo:`` with their decrypted texts (objects as JSON); ``project``: the folder
    that relative paths are relative to. Raises ``SettingsError``."""
    values, secrets = _split({key: _parsed(key, text) for key, text in raw.items() if key != "settingsFile"})
    if "settingsFile" in raw:
        overlay = _overlay(project / raw["settingsFile"], raw["settingsFile"])
        more, more_secrets = _split({k: v for k, v in overlay.items() if k != "secrets"})
        listed = overlay.get("secrets", {})
        if not isinstance(listed, dict) or not all(isinstance(v, (str, type(None))) for v in listed.values()):
            raise SettingsError([f"{raw['settingsFile']}: secrets must be a mapping of names to texts."])
        values, secrets = merged(values, more), {**secrets, **more_secrets, **listed}
    wrong: list[str] = []
    missing: dict[str, str] = {}
    settings = _validated(StackSettings, values, stack, wrong, missing)
    owner = _validated(OwnerSecrets, secrets, stack, wrong, missing)
    for key in _needed(values, owner, stack):
        missing.setdefault(key, _command(key, stack))
    if missing:
        wrong.append(f"The stack {stack} lacks {len(missing)} setting{'s' if len(missing) > 1 else ''} that only its owner has:")
        wrong += [f"  {key}: {command}{_hint(key)}" for key, command in missing.items()]
    if wrong or settings is None or owner is None:
        raise SettingsError(wrong, {key: command + _hint(key) for key, command in missing.items()})
    return Loaded(settings, owner)


def _parsed(key: str, text: str) -> Any:
    """Pulumi hands an object or list as JSON and everything else as text."""
    if (key in SECRET_KEYS and key not in SECRET_MAPS) or not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError([f"The setting mo:{key} is not valid JSON."]) from None


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {k: v for k, v in values.items() if k not in SECRET_KEYS},
        {k: v for k, v in values.items() if k in SECRET_KEYS and v not in ("", None)},
    )


def _overlay(path: Path, shown: str) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError([f"The settings file {shown} (mo:settingsFile) cannot be read: {error.strerror}."]) from None
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError([f"The settings file {shown} holds secrets and others may read it: run `chmod 600 {shown}`."])
    try:
        document = yaml_source.read(path, shown)
    except yaml_source.SourceError as error:
        raise SettingsError([str(error)]) from None
    if not isinstance(document.data, dict):
        raise SettingsError([f"{shown}:1: a settings file is a mapping, not {mistakes.shorten(document.data)}."])
    return document.data


def merged(below: Any, above: Any) -> Any:
    """``above`` laid over ``below``, key by key."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{k: merged(below.get(k), v) for k, v in above.items()}}
    return above


def _validated(model: type[M], values: dict[str, Any], stack: str, wrong: list[str], missing: dict[str, str]) -> M | None:
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        for error in invalid.errors(include_input=model is not OwnerSecrets):
            path = _dotted(tuple(step for step in error["loc"] if step != "[key]"))
            if error["type"] == "missing" or (error["type"] == "too_short" and not error.get("input")):
                missing[path] = _command(path, stack, listed=_is_list(model, error["loc"]))
            else:
                wrong.append(f"The setting mo:{path} of the stack {stack} {mistakes.sentence(error, model)}.")
        return None


def panel_servers(settings: Mapping[str, Any]) -> list[str]:
    """The servers whose accounts only the hoster's panel administers. ``settings``: the keys below ``mo:``, as they are written."""
    servers = settings.get("servers")
    return [
        name
        for name, server in (servers.items() if isinstance(servers, Mapping) else ())
        if isinstance(server, Mapping) and server.get("provision") == "existing" and not server.get("adminUser")
    ]


def _databases(values: dict[str, Any], stack: str) -> list[Database]:
    """The databases of the stack's services."""
    added = values.get("services")
    try:
        services = reader.read().of_stack(stack, tuple(added) if isinstance(added, list) else ())
    except reader.CatalogError as error:
        raise SettingsError(error.problems) from None
    return [service.database for service in services.values() if service.database is not None]


def _needed(values: dict[str, Any], secrets: OwnerSecrets | None, stack: str) -> Iterator[str]:
    """The owner's keys that these settings ask for. Works on the raw values too, so that all is named at once."""
    yield from _database_keys(values, secrets, stack)
    github = values.get("github")
    if isinstance(github, dict) and github.get("environment") in ENVIRONMENTS and not github.get("reviewers"):
        yield "github.reviewers[0]"
    provenance = values.get("provenance")
    # Without a declaration the machine that deploys would trust the key that it made itself.
    if stack != "sandbox" and not (isinstance(provenance, dict) and provenance.get("signers")):
        yield "provenance.signers[0]"
    notify = values.get("notify")
    if isinstance(notify, dict) and notify.get("url") and secrets is not None and secrets.webhook_secret is None:
        yield "webhookSecret"
    for field in ("github_token", "smtp_user", "smtp_password"):
        if secrets is not None and getattr(secrets, field) is None:
            yield OwnerSecrets.model_fields[field].alias or field


def _database_keys(values: dict[str, Any], secrets: OwnerSecrets | None, stack: str) -> Iterator[str]:
    """Of each server that a service uses, its administrator; without one, what the panel gave the services."""
    servers = values.get("servers")
    if not isinstance(servers, dict):
        return
    databases = _databases(values, stack)
    panels = [name for name in panel_servers(values) if secrets is None or secrets.admin_password(name) is None]
    if secrets is not None:
        given = [database_secrets(database)[1] for database in databases if database.server in panels]
        yield from (f"existing.{name}" for name in given if name not in secrets.existing)
    used = {database.server for database in databases} - {*panels}
    for name, server in servers.items():
        if name in used and isinstance(server, dict) and not server.get("adminUser"):
            yield f"servers.{name}.adminUser"
        if name in used and secrets is not None and secrets.admin_password(name) is None:
            yield _camel(f"{name}-admin-password")


def _camel(dashed: str) -> str:
    first, *rest = dashed.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _command(key: str, stack: str, listed: bool = False) -> str:
    if key in SECRET_KEYS:
        return f"bin/pulumi config set --stack {stack} --secret mo:{key}"
    if key.startswith("existing."):
        return f"bin/pulumi config set --stack {stack} --secret --path 'mo:{key}'"
    if "." in key or listed:
        return f"bin/pulumi config set --stack {stack} --path 'mo:{key}{'[0]' if listed else ''}' VALUE"
    return f"bin/pulumi config set --stack {stack} mo:{key} VALUE"


def _hint(key: str) -> str:
    if key.startswith("existing."):
        return "   (as the hoster's panel gave it; or the server's adminUser and its password)"
    return f"   ({_HINTS[key]})" if key in _HINTS else ""


def _is_list(model: type[BaseModel], loc: tuple[int | str, ...]) -> bool:
    return loc[-1] in ("hostKeys", "required") and model is StackSettings


def _dotted(path: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in path)


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret, for the one place that hands it on."""
    return secret.get_secret_value() if secret is not None else None
