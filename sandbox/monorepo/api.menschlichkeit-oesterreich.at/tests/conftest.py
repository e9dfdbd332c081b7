"""The API on a database of its own, with a mail server that only listens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app import data, mail, settings  # noqa: E402


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was sent: sender, recipient, subject, text."""
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(mail, "send", lambda *parts: sent.append(parts))
    return sent


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mails: list[tuple[str, ...]]) -> Iterator[TestClient]:
    """A client of the API whose schema Alembic has made."""
    from alembic import command
    from alembic.config import Config

    (tmp_path / "secrets.env").write_text("JWT_SECRET='it'\\''s secret'\n")
    monkeypatch.setenv("MO_SECRETS_ENV", str(tmp_path / "secrets.env"))
    monkeypatch.setenv("MO_DATABASE_URL", f"sqlite:///{tmp_path}/api.sqlite")
    settings.values.cache_clear()
    data.engine.cache_clear()
    command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
    from app.main import app

    with TestClient(app, base_url="https://api.mo.localhost:28443") as client:
        yield client
    data.engine().dispose()
    data.engine.cache_clear()
    settings.values.cache_clear()
