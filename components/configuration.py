"""The stack's settings as Pulumi hands them to the program."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.runtime import config

from catalog import settings_file
from catalog.settings_file import Loaded


def load(project: Path, stack: str) -> Loaded:
    """The settings below ``mo:`` and what they lead to. Raises ``settings_file.SettingsError``."""
    prefix = "mo:"
    every = {**config.get_config_env(), **config.CONFIG.get()}
    raw = {key.removeprefix(prefix): str(pulumi.runtime.get_config(key)) for key in every if key.startswith(prefix)}
    return settings_file.load(raw, project, stack)
