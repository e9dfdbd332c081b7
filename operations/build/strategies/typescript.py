"""TypeScript: the npm strategy; ``tsc`` where the catalogue names no script."""

from __future__ import annotations

from operations.build.strategies.npm import Npm


class TypeScript(Npm):
    """JavaScript made by the TypeScript compiler."""

    default = ("tsc",)
