"""The project as the operator's commands see it: its folder, the stack's file, the services of a stack."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog import neighbours, reader, yaml_source
from catalog.models import Service
from catalog.settings_file import SettingsError, merged
from operations.problem import Problem

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "mo:"


@dataclass(frozen=True)
class StackFile:
    """``Pulumi.<stack>.yaml``. ``settings``: the keys below ``mo:``, secrets still encrypted; ``whole``: everything in it."""

    path: Path
    whole: Mapping[str, Any]
    settings: Mapping[str, Any]


def stack_file(stack: str, root: Path = ROOT) -> StackFile:
    """The file of a stack. Raises ``Problem``."""
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml"))
        raise Problem(f"There is no stack {stack}: {path.name} does not exist. Known: {', '.join(known)}.", 2)
    try:
        whole = yaml_source.read(path, path.name).data
    except yaml_source.SourceError as error:
        raise Problem(str(error)) from None
    config = whole.get("config") if isinstance(whole, dict) else None
    if not isinstance(whole, dict) or not isinstance(config, dict):
        raise Problem(f"{path.name} has no config; see Pulumi.production.yaml for its form.")
    return StackFile(path, whole, {k.removeprefix(PREFIX): v for k, v in config.items() if k.startswith(PREFIX)})


def settings_of(file: StackFile, root: Path = ROOT) -> dict[str, Any]:
    """A stack's settings with those of its machine (``mo:settingsFile``) laid over them; what is encrypted is left out. A settings file
    that cannot be read lays nothing over them: ``catalog.settings_file.load`` says why."""
    values = {key: value for key, value in file.settings.items() if key != "settingsFile" and not is_encrypted(value)}
    above = {key: value for key, value in of_machine(file, root).items() if key != "secrets"}
    return {**values, **{key: merged(values.get(key), value) for key, value in above.items()}}


def of_machine(file: StackFile, root: Path = ROOT) -> dict[str, Any]:
    """What ``mo:settingsFile`` holds; nothing where a stack has none, or none that can be read."""
    if "settingsFile" not in file.settings:
        return {}
    try:
        document = yaml.safe_load((root / str(file.settings["settingsFile"])).read_bytes())
    except (OSError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def is_encrypted(value: object) -> bool:
    """Whether a setting is one that Pulumi has encrypted."""
    return isinstance(value, dict) and set(value) == {"secure"}


def services_of(stack: str, file: StackFile) -> dict[str, Service]:
    """The services that a stack deploys, in the catalogue's order. Raises ``Problem``."""
    try:
        catalog = reader.read()
    except reader.CatalogError as error:
        raise Problem(str(error)) from None
    extra = file.settings.get("services") or ()
    if extra:
        try:
            neighbours.refuse_shared(file.path.parent, stack, catalog, neighbours.settings_of(file.path.parent, stack))
        except SettingsError as error:
            raise Problem(str(error)) from None
    return catalog.of_stack(stack, tuple(extra) if isinstance(extra, list) else ())


def chosen(services: Mapping[str, Service], only: list[str] | None) -> dict[str, Service]:
    """Those of ``services`` that ``only`` names; all where it names none. Raises ``Problem`` for one that there is not."""
    unknown = sorted(set(only or ()) - services.keys())
    if unknown:
        raise Problem(f"No service of this stack: {', '.join(unknown)}. There are: {', '.join(services)}.", 2)
    return {key: service for key, service in services.items() if not only or key in only}


def temporary_config(file: StackFile, changes: Mapping[str, Any], folder: Path) -> Path:
    """A copy of the stack's file with ``changes`` below ``mo:``, for one update (``--config-file``): so that the history keeps what the
    update meant to deploy, and the file in the repository stays what it is. The caller removes it."""
    config = {**file.whole["config"], **{PREFIX + key: value for key, value in changes.items()}}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=folder, prefix="update-", suffix=".yaml")
    with os.fdopen(handle, "w") as stream:
        yaml.safe_dump({**file.whole, "config": config}, stream, sort_keys=False, allow_unicode=True)
    return Path(name)
