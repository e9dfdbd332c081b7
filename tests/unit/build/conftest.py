"""Fixtures of the build's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .monorepo import Monorepo


@pytest.fixture
def monorepo(tmp_path: Path) -> Monorepo:
    """An empty monorepo."""
    return Monorepo(tmp_path)
