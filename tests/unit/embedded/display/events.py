"""Engine events for the tests of the display."""

from __future__ import annotations

from typing import Any

STACK = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


def urn(name: str, kind: str = "command:local:Command") -> str:
    return f"urn:pulumi:dev::p::{kind}::{name}"


def state(name: str, kind: str = "command:local:Command", **more: Any) -> dict[str, Any]:
    root = kind == "pulumi:pulumi:Stack"
    known = {
        "type": kind,
        "urn": STACK if root else urn(name, kind),
        "id": "",
        "parent": "" if root else STACK,
        "inputs": {},
        "outputs": {},
    }
    return {**known, "custom": not root, "provider": "", **more}


def step(kind: str, op: str, name: str = "it", *, old: Any = None, new: Any = None, **more: Any) -> dict[str, Any]:
    """A resource event; ``old`` and ``new`` are states."""
    metadata = {"op": op, "urn": (new or old)["urn"], "type": (new or old)["type"], "old": old, "new": new, "detailedDiff": None}
    return {kind: {"metadata": {**metadata, "logical": True, "provider": (new or old)["provider"], **more}}}


def pre(op: str, **more: Any) -> dict[str, Any]:
    return step("resourcePreEvent", op, **more)


def done(op: str, **more: Any) -> dict[str, Any]:
    return step("resOutputsEvent", op, **more)


def said(message: str, severity: str = "info", *, of: str = "", **more: Any) -> dict[str, Any]:
    prefix = {"prefix": f"{severity}: "} if severity in ("error", "warning", "debug") else {}
    return {
        "diagnosticEvent": {
            **({"urn": of} if of else {}),
            **prefix,
            "message": message + "\n",
            "severity": severity,
            "color": "never",
            **more,
        }
    }


def summary(
    changes: dict[str, int], *, preview: bool = False, packs: dict[str, str] | None = None, seconds: float = 1
) -> dict[str, Any]:
    result = {
        "resourceChanges": changes,
        "isPreview": preview,
        "PolicyPacks": packs or {},
        "durationSeconds": seconds,
        "maybeCorrupt": False,
    }
    return {"summaryEvent": result}
