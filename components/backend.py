"""Where the state of this run lies, as far as a program can see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml


def kind(environment: Mapping[str, str], project: Path) -> str:
    """The scheme of the backend's address, ``file``, ``https``, ``s3`` …, by Pulumi's own order: environment, project file, login."""
    found = address(environment, project)
    return found.split("://", 1)[0] if "://" in found else "https"


def address(environment: Mapping[str, str], project: Path) -> str:
    """The backend's address; empty where none was chosen."""
    return environment.get("PULUMI_BACKEND_URL") or _project_backend(project) or _login(environment)


def _project_backend(project: Path) -> str:
    try:
        data = yaml.safe_load((project / "Pulumi.yaml").read_text())
        return str(data["backend"]["url"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return ""


def _login(environment: Mapping[str, str]) -> str:
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return str(json.loads((home / "credentials.json").read_text())["current"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
