"""Other stacks of the project: whether one of them deploys a service of this stack at the same place or in the same database.

Neither a service's path nor its database holds the stack's name, and each stack has a state and a lock of its own. So two stacks that
deploy one service on the same host would take it from each other, its password and its data too. Of another stack only what stands in clear
in its ``Pulumi.<stack>.yaml`` (and in its settings file, where this machine has it) is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catalog import yaml_source
from catalog.models import Catalog, Service
from catalog.settings_file import SettingsError, merged

PREFIX = "mo:"
_PORTS = {"mariadb": 3306, "postgresql": 5432}


def refuse_shared(project: Path, stack: str, catalog: Catalog, settings: Mapping[str, Any]) -> None:
    """Raises ``SettingsError`` with one sentence for each service that another stack deploys at the same place or in the same database:
    services that ``settings`` (the keys below ``mo:``, as they are written) add, and those that the catalogue gives both stacks."""
    added = settings.get("services")
    mine = catalog.of_stack(stack, tuple(added) if isinstance(added, (list, tuple)) else ())
    problems = []
    named = {other for service in mine.values() for other in service.stacks}
    here = {path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in project.glob("Pulumi.*.yaml")}
    for other in sorted((named | here) - {stack}):
        theirs: Mapping[str, Any] | None = None
        for key, service in mine.items():
            is_added = stack not in service.stacks
            if not is_added and other not in service.stacks:
                continue
            theirs = settings_of(project, other) if theirs is None else theirs
            if other not in service.stacks and key not in (theirs.get("services") or ()):
                continue
            if is_added and not theirs:
                what = f"whose settings are not here to compare with (Pulumi.{other}.yaml)"
            elif not (what := " and ".join(_common(service, settings, theirs, unknown=is_added))):
                continue
            problems.append(_sentence(project, stack, other, key, is_added, what))
    if problems:
        raise SettingsError(problems)


def settings_of(project: Path, stack: str) -> dict[str, Any]:
    """The keys below ``mo:`` of a stack's files; nothing where the project has no file of it."""
    path = project / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        return {}
    found = _read(path).get("config")
    config = {key.removeprefix(PREFIX): value for key, value in found.items()} if isinstance(found, dict) else {}
    if isinstance(named := config.get("settingsFile"), str) and (project / named).is_file():
        config = merged(config, {key: value for key, value in _read(project / named).items() if key != "secrets"})
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml_source.read(path, path.name).data
    except yaml_source.SourceError as error:
        raise SettingsError([str(error)]) from None
    return data if isinstance(data, dict) else {}


def _common(service: Service, mine: Mapping[str, Any], theirs: Mapping[str, Any], *, unknown: bool) -> Iterator[str]:
    """What both stacks have. ``unknown``: whether what is not known of the other one counts as the same; what only one machine knows
    (``mo:settingsFile``) is of that machine."""
    unknown = unknown and "settingsFile" not in theirs
    here, there = _mapping(mine.get("host")), _mapping(theirs.get("host"))
    same_host = all(_same(here.get(key), there.get(key), unknown) for key in ("address", "user"))
    if same_host and _same(here.get("root"), there.get("root"), unknown):
        yield f"at the same place ({here.get('address')}:{str(here.get('root')).rstrip('/')}/{service.path})"
    if service.database is None:
        return
    name = service.database.server
    ours, other = _mapping(_mapping(mine.get("servers")).get(name)), _mapping(_mapping(theirs.get("servers")).get(name))
    port = _PORTS[service.database.engine]
    if (
        (other or unknown)
        and _same(ours.get("host"), other.get("host"), unknown)
        and str(ours.get("port", port)) == str(other.get("port", port))
        # An address as localhost is the host's own.
        and (same_host or "host" not in (ours.get("reach"), other.get("reach")))
    ):
        doubt = "" if isinstance(other.get("host"), str) else "; where the other stack's server is, its file does not say"
        yield f"in the same database ({service.database.name} on {name}, {ours.get('host')}:{ours.get('port', port)}{doubt})"


def _same(mine: Any, theirs: Any, unknown: bool) -> bool:
    """Encrypted values (a mapping) are unknown too."""
    if not isinstance(mine, str) or not isinstance(theirs, str):
        return unknown
    return mine.rstrip("/").lower() == theirs.rstrip("/").lower()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sentence(project: Path, stack: str, other: str, key: str, is_added: bool, what: str) -> str:
    name, way = f"Pulumi.{stack}.yaml", "the catalogue's stacks"
    place = name
    if is_added:
        way = "mo:services"
        try:
            document = yaml_source.read(project / name, name)
            listed = (_mapping(_mapping(document.data).get("config"))).get(PREFIX + "services")
            if isinstance(listed, list) and key in listed:
                place = f"{name}:{document.line(('config', PREFIX + 'services', listed.index(key)))}"
        except yaml_source.SourceError:
            pass  # another file holds this stack's settings
    return (
        f"{place}: service {key} is deployed by the stack {other} too, {what}, and the one would take it from the other; give {stack} a "
        f"root and database servers of its own (mo:host, mo:servers), or take {key} out of {way} (of {stack})."
    )
