"""What the program says of a release beside the requests, so that it re-runs no step: ``.mo/<stack>/activations.json``."""

from __future__ import annotations

from . import jsontext
from .failure import Failure

MAX_BYTES = 16 << 20


class Told:
    """``back``: whether the update rolls back to the release, so that its migrations are not run; ``text``: the rules by which it is
    activated, one line of JSON, empty where there are none."""

    __slots__ = ("back", "text")

    def __init__(self, text: str = "", *, back: bool = False) -> None:
        self.text, self.back = text, back


def told(folder: str, service: str, release: str) -> Told:
    """What the last update's program wrote of this release in ``folder``; nothing where it wrote of another. Raises ``Failure``."""
    path = folder + "/activations.json"
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Told()
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}); the next update writes it anew.") from None
    if len(text) > MAX_BYTES:
        raise Failure(f"{path} is larger than {MAX_BYTES} bytes; delete it, the next update writes it anew.")
    try:
        found = jsontext.loads(text)
        if found["version"] != 1:
            raise ValueError("version is not 1")
        entry = found["services"].get(service)
        if entry is None or entry["release"] != release:
            return Told()
        if not isinstance(entry["back"], bool) or not isinstance(entry["activation"], dict):
            raise ValueError(f"the entry of {service} is incomplete")
        return Told(jsontext.dumps(entry["activation"]), back=entry["back"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(
            f"{path} is not a list of activations of version 1 ({type(error).__name__}: {error}); delete it, the next update writes "
            "it anew."
        ) from None
