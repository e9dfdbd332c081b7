"""The host: login, space, programs, what each service's last run left, permissions, clock. Asked over one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catalog.models import Service
from catalog.settings_file import Loaded
from components import facts, plan
from components.plan import missing_programs
from operations import drifts, integrity, remote
from operations.doctor import php
from operations.doctor.finding import Finding, clock
from operations.wording import on_one_line

LITTLE_SPACE = 500_000_000
"""Bytes on the host below which a deploy may fail."""
LOW_SHARE = 0.2
"""Share of free space below which the monitoring warns."""
NAMED = 5
"""How many paths with wrong permissions are named."""
LONGEST = 200
"""Characters of what the host said that are told."""


def look(root: Path, stack: str, loaded: Loaded, services: Mapping[str, Service]) -> list[Finding]:
    """Everything but permissions. Needs ``connection.json``. Raises ``Problem`` where nobody can log in."""
    host = loaded.settings.host
    told = remote.run(root, stack, "facts", facts.request(stack, host.name, services, {}))
    return [
        Finding("login", True, f"{host.user}@{host.address}:{host.port} accepts the key and shows the pinned host key"),
        *space(told),
        *_programs(told, services),
        *(finding for key, entry in services.items() for finding in _service(stack, key, entry, told["services"].get(key) or {})),
        _live(told, services),
        *php.look(
            root, stack, loaded.settings.domain, services, {key: (told["services"].get(key) or {}).get("live") for key in services}
        ),
    ]


def space(told: Mapping[str, Any]) -> Iterator[Finding]:
    """What is left of the account's quota and of the file system."""
    free, left, whole = told.get("free_bytes"), told.get("quota_bytes"), told.get("size_bytes")
    known = [value for value in (free, left) if isinstance(value, int)]
    if not known:
        yield Finding("space", None, "the host does not tell how much is free (df, quota)")
        return
    least = min(known)
    what = "quota" if isinstance(left, int) and least == left else "space"
    share = f" of {plan.size(whole)}" if isinstance(whole, int) and whole else ""
    text = f"{plan.size(least)}{share} free"
    way = "remove old releases and snapshots (`bin/mo snapshots`, mo:keepReleases) or ask the hoster for more"
    if least <= LITTLE_SPACE:
        yield Finding(what, False, f"{text}, at least {plan.size(LITTLE_SPACE)} are needed; {way}")
    elif isinstance(whole, int) and whole and least < LOW_SHARE * whole:
        yield Finding(what, None, f"{text}, less than {LOW_SHARE:.0%}; {way}")
    else:
        yield Finding(what, True, text)


def _programs(told: Mapping[str, Any], services: Mapping[str, Service]) -> Iterator[Finding]:
    needs = told.get("needs") or []
    for need in needs:
        yield Finding("host", False, f"lacks {need}, which every service needs; ask the hoster")
    programs = told.get("programs") or {}
    lacking: dict[str, list[str]] = {}
    for key, entry in services.items():
        missing = missing_programs(entry, programs)
        missing += [str(need) for need in (told["services"].get(key) or {}).get("lacks") or () if need not in needs]
        for name in missing:
            lacking.setdefault(name, []).append(key)
    for name, keys in lacking.items():
        yield Finding(
            "program", False, f"the host lacks {name}, which {_listed(keys)} needs: ask the hoster, or put it into ~/bin there"
        )
    if not needs and not lacking:
        yield Finding("programs", True, f"the host has what the {len(services)} services need")


def _service(stack: str, key: str, entry: Service, known: Mapping[str, Any]) -> Iterator[Finding]:
    """What a former run left, and whether the service's account may use its database."""
    again = f"bin/mo deploy --stack {stack} --only {key}"
    if known.get("interrupted"):
        yield Finding(key, False, f"a switch was cut in the middle; the next one finishes it or puts it back: {again}")
    if known.get("maintenance") and (known.get("opened_by") or known.get("interrupted")):
        yield Finding(key, False, f"answers 503: a maintenance window was left open; the next switch ends it: {again}")
    elif known.get("maintenance"):
        yield Finding(key, False, f"answers 503: a person has closed it; bin/mo maintenance off {key} opens it")
    if known.get("database") is False:
        name = entry.database.name if entry.database else "?"
        yield Finding(key, False, f"its database {name} is gone; bin/mo deploy makes it, bin/mo snapshots restore fills it")
    elif known.get("reachable") is False:
        yield Finding(
            key, False, f"its account cannot use the database ({on_one_line(known.get('problem'), LONGEST)}); {again} sets it right"
        )
    if known.get("unmanaged_count"):
        names = ", ".join(on_one_line(name, LONGEST) for name in (known.get("unmanaged") or ())[:3])
        text = f"{known['unmanaged_count']} files lie at its path already ({names}, …)"
        way = "declare them `persistent` in the catalogue, or allow it with mo:adopt"
        yield Finding(key, None, f"{text}; the first deploy refuses to hide what it does not know: {way}")


def _live(told: Mapping[str, Any], services: Mapping[str, Service]) -> Finding:
    live = sum((told["services"].get(key) or {}).get("live") is not None for key in services)
    return Finding("live", None, f"{live} of {len(services)} services have a release")


def permissions(root: Path, stack: str, services: Mapping[str, Service], fix: bool, own: bool = False) -> list[Finding]:
    """What has other modes than it must have on the host, mended where ``fix`` (``own``: persistent paths too); and the host's clock."""
    request = {
        "services": [
            {"service": key, "target": entry.path, "persistent": list(entry.persistent)} for key, entry in services.items()
        ],
        "fix": fix,
        "fix_own": fix and own,
    }
    told = remote.run(root, stack, "permissions", request, timeout=300)
    left = remote.run(root, stack, "permissions", {**request, "fix": False, "fix_own": False}, timeout=300) if fix else told
    findings = []
    if fix and told["count"] > left["count"]:
        findings.append(Finding("permissions", True, f"on the host: {told['count'] - left['count']} mended"))
    for wrong in left["wrong"][:NAMED]:
        way = "its owner there is another account, which alone can mend it" if fix else "bin/mo doctor --fix"
        findings.append(
            Finding("permissions", False, f"on the host: {on_one_line(wrong['path'], LONGEST)} must be {wrong['mode']}; {way}")
        )
    if left["count"] > NAMED:
        findings.append(Finding("permissions", False, f"on the host: {left['count'] - NAMED} more like these"))
    if not findings:
        findings.append(Finding("permissions", True, "on the host: files 644, folders 755, secrets, logs and snapshots 600"))
    findings += [_own(one, fix and own) for one in left.get("own") or ()]
    if isinstance(told.get("skew"), (int, float)):
        findings.append(clock("host's clock", told["skew"]))
    return findings


def beside(root: Path, stack: str, services: Mapping[str, Service]) -> list[Finding]:
    """Host programs, virtual environments and secrets files that somebody has changed on the host."""
    found = drifts.of_beside(integrity.beside(root, stack, services), stack)
    good = Finding("integrity", True, "on the host: its programs, virtual environments and secrets files are as they were brought")
    return [Finding("integrity", False, f"{one.service}: {one.what}") for one in found] or [good]


def _own(told: Mapping[str, Any], mended: bool) -> Finding:
    """What is unusual in persistent paths: no fault, since it belongs to the site."""
    names = ", ".join(on_one_line(path, LONGEST) for path in told["paths"][:NAMED]) + (", …" if told["count"] > NAMED else "")
    if told["what"] == "open":
        what = "can be written by others"
        way = (
            "their owner there is another account, which alone can close them"
            if mended
            else "bin/mo doctor --fix --persistent closes them"
        )
    else:
        what, way = "cannot be read by the web server's account", "right for secrets; else give them 644 (folders 755) there"
    return Finding(
        "permissions", None, f"of the site's own files (persistent), {told['count']} of {told['service']} {what}: {names}; {way}"
    )


def _listed(keys: list[str]) -> str:
    return ", ".join(keys) if len(keys) <= 4 else f"{', '.join(keys[:3])} and {len(keys) - 3} more"
