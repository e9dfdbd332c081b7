"""A password or key that this program generates: once, and again only where a rotation is asked for.

The rotation's id is a keeper of the random resource, so a new id makes a new value. Every run without one ignores the keepers: what the
state holds stays, whatever rotations there were, on every machine and with every engine. So ``bin/mo rotate`` needs a single update, whose
temporary configuration (kept by the history) names what is rotated, and nothing has to be committed or told to others afterwards. The
steps of that update are resources in an order: the account takes the new password besides the former one (``account``), the secrets file
gets it and the process is restarted and looked at (``env``), GitHub gets it, and only then is the former one revoked (``revoke``). Where
an update is cut, the state knows the new value and the steps that are still to do: any later update does them, and until then both
passwords work. Two updates (make both valid, then revoke) would leave that to the one who remembers the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.component import Component

SAFE_SPECIAL = "-_"
"""With letters and digits 64 signs, 6 bits each; none that a shell, SQL or the mysql provider would take for something else."""

NONE_YET = "0"
"""The keeper of a value that was never rotated."""


@dataclass(frozen=True)
class GeneratedSecret:
    """``value``: secret. ``rotation``: the id of its last rotation, ``None`` before the first."""

    value: pulumi.Output[str]
    rotation: pulumi.Output[str | None]


def generated(parent: Component, name: str, length: int, rotation: str | None, existing: str | None = None) -> GeneratedSecret:
    """The resource ``name``, ``length`` signs long; a ``rotation`` that the state does not have yet makes it anew. ``existing``: the value
    that is there already, and stays until the first rotation."""
    made = random.RandomPassword(
        name,
        length=length,
        special=True,
        override_special=SAFE_SPECIAL,
        # Never absent: what a resource does not tell counts as unknown in a preview, and everything after it as changed.
        keepers={"rotation": rotation or NONE_YET},
        opts=parent.child() if rotation else parent.child(ignore_changes=["keepers"]),
    )
    rotated = made.keepers.apply(_of)
    value = made.result
    if existing is not None:
        known = pulumi.Output.secret(existing)
        value = pulumi.Output.all(rotated, known, made.result).apply(lambda found: str(found[1] if found[0] is None else found[2]))
    return GeneratedSecret(value, rotated)


def _of(keepers: Mapping[str, str] | None) -> str | None:
    found = (keepers or {}).get("rotation")
    return None if found == NONE_YET else found
