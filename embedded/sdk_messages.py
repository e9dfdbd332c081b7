"""Pulumi's protobuf files without the SDK that they lie in: the engine needs the messages alone, and running the packages around them
takes a third of its start."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def bare() -> None:
    """From here on this process sees ``pulumi`` and ``pulumi.runtime`` as folders, nothing of whose own code runs. For a process that is
    the engine and nothing else; no effect where the SDK has been imported, or is not installed."""
    found = importlib.util.find_spec("pulumi") if "pulumi" not in sys.modules else None
    if found is None:
        return
    for name, below in (("pulumi", ""), ("pulumi.runtime", "/runtime")):
        module = ModuleType(name)
        module.__path__ = [place + below for place in found.submodule_search_locations or ()]
        sys.modules[name] = module
