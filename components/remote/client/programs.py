"""The host programs: brought to ``<root>/.deploy/.tool/<digest>/`` once for each version of them."""

from __future__ import annotations

import fcntl
import os

from .failure import Failure
from .masking import MASK
from .ssh import Master

HOST_FOLDER = os.path.realpath(__file__).rsplit("/", 2)[0] + "/host"

BOOT = (
    'test -f "$0/done" || { echo @missing >&2; exit 78; }; true 2>/dev/null >"$0/done"; '
    'MO_TOOL=$0; export MO_TOOL; p=$1; shift; exec sh "$0/$p" "$@"'
)
"""What the account's shell runs: this version's program, or a word that it is missing. Emptied, ``done`` has the time of this use: that
takes no process of its own."""


def quote(text: str) -> str:
    """One word for a POSIX shell."""
    if text and all((c.isalnum() and c.isascii()) or c in "_-./:=@%+," for c in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def _files() -> list[tuple[str, bytes]]:
    found = []
    for name in sorted(os.listdir(HOST_FOLDER)):
        if name[0] not in ".#" and not name.endswith((".md", "~")):
            with open(f"{HOST_FOLDER}/{name}", "rb") as file:
                found.append((name, file.read()))
    return found


def digest() -> str:
    """Sixteen hex digits of the programs' names and texts."""
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256

    total = sha256()
    for name, text in _files():
        total.update(f"{name}\0{len(text)}\0".encode() + text)
    return str(total.hexdigest())[:16]


def boot(tool: str, program: str) -> str:
    """The remote command that starts ``program`` of the tool folder ``tool``."""
    return f"exec sh -c {quote(BOOT)} {quote(tool)} {quote(program)}"


def upload(master: Master, tool: str, started: float) -> None:
    """Brings the programs to ``tool``, in one channel, unless another process of this machine did since ``started`` (Unix seconds)."""
    marker = master.base + ".tool"
    with open(master.base + ".upload", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(marker, "rb") as file:
                if os.fstat(file.fileno()).st_mtime >= started and file.read() == tool.encode():
                    return
        except FileNotFoundError:
            pass
        _send(master, tool)
        with open(marker, "wb") as file:
            file.write(tool.encode())


def _send(master: Master, tool: str) -> None:
    parent = tool.rsplit("/", 1)[0]
    script = [
        f"tool={quote(tool)} parent={quote(parent)}",
        'test -f "$tool/done" && { echo @done; exit 0; }',
        'umask 022; new=$parent/.new.$$; mkdir -p "$new" && cd "$new" || exit 1',
    ]
    for name, text in _files():
        script.append(f"cat > {quote(name)} <<'MO_END_OF_PROGRAM'")
        script.append(text.decode().rstrip("\n"))
        script.append("MO_END_OF_PROGRAM")
    # Folders of versions that nobody started for thirty days go (of the folder the time is that of its making, of ``done`` that of its last
    # use). The rename keeps a half-sent version from ever being run.
    script += [
        'echo done > done && cd .. && { mv "$new" "$tool" 2>/dev/null || test -f "$tool/done"; } && echo @done',
        'rm -rf "$new" "$tool"/.new.*',
        'find "$parent" -mindepth 1 -maxdepth 1 -type d -mtime +30 ! -path "$tool" 2>/dev/null | while IFS= read -r old; do',
        '  { test -f "$old/done" && test -z "$(find "$old/done" -mtime +30)"; } || rm -rf "$old"',
        "done",
        "exit 0",
    ]
    import subprocess  # once for each version of the programs

    done = subprocess.run(
        [*master.command(), "--", master.destination, "exec sh -s"],
        input=("\n".join(script) + "\n").encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, pass_fds=(master.slot(),),
    )  # fmt: skip
    if b"@done" not in done.stdout:
        said = MASK.text(done.stdout.decode(errors="replace")).strip().splitlines()
        name = master.connection.name
        raise Failure(
            f"The host programs cannot be written to {tool} on {name}: {said[-1][:200] if said else 'no answer'};"
            f" expected a writable {master.connection.root} with free space."
        )
