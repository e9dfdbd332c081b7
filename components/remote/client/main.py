"""``run STEP``: JSON request on stdin, one JSON line on stdout; on failure one sentence on stderr and exit code 1."""

from __future__ import annotations

import os
import sys

from . import jsontext
from .failure import Failure, printable
from .masking import MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = (
    "stage", "env", "account", "switch", "health", "facts", "files", "permissions", "mend", "prune",
    "connect", "exec", "gate", "integrity", "journal", "lock", "logs", "maintenance", "snapshot", "down", "baseline", "databases",
    "remove", "revoke", "running", "found",
)  # fmt: skip
MAX_REQUEST_BYTES = 16 << 20


def main(arguments: list[str]) -> int:
    """Runs one step and gives the exit code."""
    if len(arguments) != 1 or arguments[0] not in STEPS:
        sys.stderr.write(f"usage: run STEP < request.json, STEP one of {', '.join(STEPS)}\n")
        return 2
    step = arguments[0]
    try:
        request = _request(step)
        result = _run(step, request)
    except Failure as failure:
        return _failed(str(failure))
    except KeyboardInterrupt:
        _failed(f"{step}: interrupted; run it again, it goes on where it stopped.")
        return 130
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _failed(f"{step}: {error.strerror or error}{where} on this machine.")
    except Exception as error:
        if os.environ.get("MO_TRACE"):
            raise
        # Whatever it is, no traceback: Python prints it as it is, and the engine keeps what is printed.
        return _failed(f"{step}: {type(error).__name__}: {error} (MO_TRACE=1 shows where).")
    answer = {"ok": True, "step": step, **({"service": request["service"]} if "service" in request else {}), **result}
    sys.stdout.write(jsontext.dumps(MASK.value(answer)) + "\n")
    return 0


def _failed(sentence: str) -> int:
    sys.stderr.write(printable(MASK.text(sentence)) + "\n")
    return 1


def _request(step: str) -> dict[str, Any]:
    text = sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1)
    if len(text) > MAX_REQUEST_BYTES:
        raise Failure(f"The request for {step} is larger than {MAX_REQUEST_BYTES} bytes.")
    try:
        request = jsontext.loads(text)
    except (ValueError, RecursionError):
        raise Failure(f"The request for {step} on stdin is not JSON (docs/host-protocol.md).") from None
    if not isinstance(request, dict):
        raise Failure(f"The request for {step} must be a JSON object, not {type(request).__name__}.")
    if request.get("protocol", 1) != 1:
        raise Failure(f"The request for {step} speaks protocol {request['protocol']!r}; this program speaks 1.")
    MASK.know_variables(request.get("variables"))
    MASK.know(request.get("password"))
    return request


def _run(step: str, request: dict[str, Any]) -> dict[str, Any]:
    module = __import__(f"{__package__}.{step}", fromlist=["run"])
    try:
        result: dict[str, Any] = module.run(request)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if os.environ.get("MO_TRACE"):
            raise
        # A request of wrong shape ends here; a message could quote a secret value, so the type and the key alone are told.
        key = error.args[0] if isinstance(error, KeyError) and error.args else None
        told = f"lacks {key!r}" if key else f"has a value of the wrong type ({type(error).__name__})"
        raise Failure(f"The request for {step} {told} (docs/host-protocol.md; MO_TRACE=1 shows where).") from None
    return result
