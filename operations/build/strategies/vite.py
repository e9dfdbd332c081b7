"""Vite: the npm strategy; ``vite build`` where the catalogue names no script."""

from __future__ import annotations

from operations.build.strategies.npm import Npm


class Vite(Npm):
    """A bundle made by Vite."""

    default = ("vite", "build")
