"""The host programs: brought to ``<root>/.deploy/.tool/<digest>/`` once for each version of them."""

from __future__ import annotations

import os

from .failure import Failure
from .masking import MASK
from .ssh import Master
from .status import take

HOST_FOLDER = os.path.realpath(__file__).rsplit("/", 2)[0] + "/host"

UPLOAD_SECONDS = 300
"""How long the upload of the programs takes at most; they have some hundred kilobytes."""
_BOOT = (
    'test -f "$0/done" || { echo @missing >&2; exit 78; }; true 2>/dev/null >"$0/done"; e=$1; p=$2; shift 2; '
    's=$(PATH=$PATH:${HOME-}/bin:${HOME-}/.local/bin; cd "$0" && cat NAMES | { sha256sum || shasum -a 256; } 2>/dev/null); '
    'case $s in "$e "*) ;; *) echo @altered >&2; exit 79 ;; esac; '
    'MO_TOOL=$0; export MO_TOOL; exec sh "$0/$p" "$@"'
)
"""What the account's shell runs: this version's program, or a word that it is missing, or that the programs' texts are others than here.
Emptied, ``done`` has the time of this use: that takes no process of its own."""


def quote(text: str) -> str:
    """One word for a POSIX shell."""
    if text and all((c.isalnum() and c.isascii()) or c in "_-./:=@%+," for c in text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def files() -> list[tuple[str, bytes]]:
    """Name and text of each program, sorted."""
    found = []
    for name in sorted(os.listdir(HOST_FOLDER)):
        if name[0] not in ".#" and not name.endswith((".md", "~")):
            with open(f"{HOST_FOLDER}/{name}", "rb") as file:
                found.append((name, file.read()))
    return found


def sha256(*parts: bytes) -> str:
    """The digest of the parts, one after the other."""
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256

    total = sha256()
    for part in parts:
        total.update(part)
    return str(total.hexdigest())


def digest() -> str:
    """Sixteen hex digits of the programs' names and texts."""
    return sha256(*(f"{name}\0{len(text)}\0".encode() + text for name, text in files()))[:16]


def there(text: bytes) -> bytes:
    """A program's text as ``upload`` writes it: it ends with one line break."""
    return text.rstrip(b"\n") + b"\n"


def boot(tool: str, program: str, brought: list[tuple[str, bytes]] | None = None) -> str:
    """The remote command that starts ``program`` of the tool folder ``tool``, once that holds the texts that were ``brought`` there."""
    brought = files() if brought is None else brought
    script = _BOOT.replace("NAMES", " ".join(quote(name) for name, _ in brought))
    return f"exec sh -c {quote(script)} {quote(tool)} {sha256(*(there(text) for _, text in brought))} {quote(program)}"


def altered(tool: str) -> str:
    """The sentence for host programs that are not this checkout's."""
    return (
        f"the host programs in {tool} were changed on the host (or it has neither sha256sum nor shasum), so none was started; expected "
        "those of this checkout; find out who changed them (bin/mo drift names them), then remove that folder: the next run brings "
        "them anew"
    )


def upload(master: Master, tool: str, started: float) -> None:
    """Brings the programs to ``tool``, in one channel, unless another process of this machine did since ``started`` (Unix seconds)."""
    marker = master.base + ".tool"
    with open(master.base + ".upload", "ab") as lock:
        take([lock.fileno()], f"the upload of the host programs to {master.connection.name}", UPLOAD_SECONDS)
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
    for name, text in files():
        script.append(f"cat > {quote(name)} <<'MO_END_OF_PROGRAM'")
        script.append(there(text).decode()[:-1])
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
        timeout=UPLOAD_SECONDS,
    )  # fmt: skip
    if b"@done" not in done.stdout:
        said = MASK.text(done.stdout.decode(errors="replace")).strip().splitlines()
        name = master.connection.name
        raise Failure(
            f"The host programs cannot be written to {tool} on {name}: {said[-1][:200] if said else 'no answer'};"
            f" expected a writable {master.connection.root} with free space."
        )
