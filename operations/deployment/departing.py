"""Services that leave the catalogue with an update: what becomes of them."""

from __future__ import annotations

from operations.deployment.here import Here


def lines(here: Here) -> list[str]:
    """What becomes of the services that are live and out of the catalogue: this update is the first without them."""
    live, drops = here.live(), dropped(here)
    told = []
    for service in sorted({*live.releases, *live.databases} - set(here.services)):
        stays = "its files stay"
        if service in drops:
            stays = "its DATABASE IS DROPPED (mo:onRemove: purge); its files stay"
        elif service in live.databases:
            stays = "its database, its account and its files stay"
        told.append(f"{service} is out of the catalogue and is no longer deployed; {stays} (bin/mo remove {service}).")
    return told


def dropped(here: Here) -> list[str]:
    """The services whose database this update drops: they are out of the catalogue, and the stack says so (mo:onRemove)."""
    return sorted(set(here.live(anew=False).dropped) - set(here.services))
