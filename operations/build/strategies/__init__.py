"""How an artefact is made, one strategy a file, picked by the catalogue's ``build.kind``."""

from __future__ import annotations

from operations.build.strategies.base import Project, Strategy
from operations.build.strategies.copy import Copy
from operations.build.strategies.npm import Npm
from operations.build.strategies.php import Php
from operations.build.strategies.python import Python
from operations.build.strategies.typescript import TypeScript
from operations.build.strategies.vite import Vite

STRATEGIES: dict[str, Strategy] = {
    "copy": Copy(),
    "php": Php(),
    "npm": Npm(),
    "vite": Vite(),
    "typescript": TypeScript(),
    "python": Python(),
}

__all__ = ["STRATEGIES", "Project", "Strategy"]
