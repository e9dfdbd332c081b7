"""Settings from secrets.env, and what the release is."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path

from sqlalchemy import URL

ROOT = Path(__file__).resolve().parents[1]
_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)='((?:[^']|'\\'')*)'$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """The variables of lines ``NAME='value'``, where ``'`` inside a value is written ``'\\''``."""
    return {name: value.replace("'\\''", "'") for name, value in _LINE.findall(text)}


def secrets() -> Path:
    """Where secrets.env is: two folders above the release; where one is deployed in place, in ``.deploy/<service>`` of a folder above.
    ``MO_SECRETS_ENV`` names another file, for development."""
    if named := os.environ.get("MO_SECRETS_ENV"):
        return Path(named)
    service = release().get("service")
    above = [folder / ".deploy" / service / "secrets.env" for folder in ROOT.parents] if service else []
    beside = ROOT.parents[1] / "secrets.env"
    return next((place for place in (beside, *above) if place.is_file()), beside)


@cache
def values() -> dict[str, str]:
    """All settings."""
    try:
        return parse(secrets().read_text("utf-8"))
    except OSError:
        return {}


def value(name: str, default: str | None = None) -> str:
    """One setting. Raises ``RuntimeError`` that names it where it is missing and has no default."""
    found = values().get(name, default)
    if found is None:
        raise RuntimeError(f"secrets.env has no {name}")
    return found


def release() -> dict[str, str | None]:
    """What the deploy wrote into release.json; empty outside a release."""
    try:
        known = json.loads((ROOT / "release.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def database_url() -> URL | str:
    """Where the data are: PostgreSQL or MariaDB, as the settings say; a file of SQLite without settings."""
    if "DB_HOST" not in values():
        return os.environ.get("MO_DATABASE_URL", "sqlite:///api.sqlite")
    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[value("DB_ENGINE")]
    query = {"charset": "utf8mb4"} if value("DB_ENGINE") == "mariadb" else {}
    authority = values().get("DB_SSL_CA")
    if authority and value("DB_ENGINE") == "postgresql":
        query |= {"sslmode": "verify-full", "sslrootcert": authority}
    elif authority:
        query |= {"ssl_ca": authority}
    return URL.create(driver, value("DB_USER"), value("DB_PASS"), value("DB_HOST"), int(value("DB_PORT")), value("DB_NAME"), query)
