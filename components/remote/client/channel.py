"""A host program on one channel: the request goes in as quoted assignments, its ``@`` lines come out, questions are answered."""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, start_new_thread

from .child import Child
from .connection import Connection
from .failure import Failure
from .generation import held
from .masking import MASK
from .programs import altered, boot, digest, quote, upload
from .ssh import Master, silence
from .status import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

ATTEMPTS = 4
_WORDS = frozenset({"database", "dberror", "dberror-of", "error", "fail", "line", "note", "output-line"})
"""Keys of lines with words of a tool or about one: masked as they come, before anybody shortens them."""
QUESTIONS = ("check", "decide", "probe", "proved")
"""The lines at which a host program waits for an answer."""
STEP_SECONDS = 15
"""After so many seconds in one step, and each time as many later, it is said what a host program is at work on."""
MUTE_SECONDS = 7200
"""After so many seconds without a line a host program counts as hung, although its connection lives: no step of one takes that long, but
for dumps, loads, migrations and commands, which say how long they may take. ``MO_MUTE`` sets another number."""
PATIENCE_SECONDS = 120
"""How long an answer to a host program takes at most, unless the caller says otherwise."""


class Reply:
    """What a host program said. ``facts``: its lines in order; ``steps``: what it did with milliseconds; ``output``: lines of a command
    that it ran (marked by ``|``); ``noise``: the last lines of anything else; ``mute``: seconds that it may say nothing."""

    __slots__ = ("_step", "_step_began", "facts", "failure", "mute", "noise", "output", "steps")

    def __init__(self) -> None:
        self.facts: list[tuple[str, list[str]]] = []
        self.steps: list[dict[str, str | int]] = []
        self.noise: list[str] = []
        self.output: list[str] = []
        self.failure: str | None = None
        self.mute = told if (told := _number(os.environ.get("MO_MUTE", ""))) else MUTE_SECONDS
        self._step: str | None = None
        self._step_began = 0.0

    def take(self, line: str) -> tuple[str, list[str]] | None:
        """Takes one line; gives key and values of an ``@`` line."""
        if line.startswith("|"):
            self.output = [*self.output[-1999:], MASK.text(line[1:])]
            return None
        if not line.startswith("@"):
            if line:
                self.noise = [*self.noise[-9:], MASK.text(line)]
            return None
        key, *values = line[1:].split("\t")
        if key == "secret":
            MASK.know_line("\t".join(values))
            return None
        if key in _WORDS:
            key, *values = MASK.text(line)[1:].split("\t")
        if key == "step":
            self._end_step()
            self._step, self._step_began = values[0], time.monotonic()
        elif key == "fail":
            self.failure = values[0]
        elif key == "limit":
            # Of one tool; a step may run three of them: a load, a count and a comparison.
            self.mute = max(self.mute, 3 * _number(values[0]))
        else:
            self.facts.append((key, values))
        return key, values

    @property
    def under_way(self) -> str:
        """The step at which the program is, and for how long; empty between steps."""
        return "" if self._step is None else f"{self._step}, for {time.monotonic() - self._step_began:.0f} s so far"

    def end(self) -> None:
        """The program has ended."""
        self._end_step()

    def _end_step(self) -> None:
        if self._step is not None:
            self.steps.append({"name": self._step, "ms": round((time.monotonic() - self._step_began) * 1000)})
            self._step = None

    def first(self, key: str, default: str = "") -> str:
        """The first value of the first line ``key``."""
        return next((values[0] if values else "" for name, values in self.facts if name == key), default)

    def all(self, key: str) -> list[list[str]]:
        """The values of every line ``key``."""
        return [values for name, values in self.facts if name == key]


class Host:
    """The host with its master: ``call`` runs a program there."""

    def __init__(self, connection: Connection, *, for_lock: bool = False) -> None:
        self.connection = connection
        self.master = Master(connection, for_lock=for_lock)
        self.tool = f"{connection.root}/.deploy/.tool/{digest()}"
        self.started = time.time()

    def call(
        self, program: str, request: dict[str, str], what: str, body: bytes = b"",
        answer: Callable[[str, list[str], Reply], str | None] | None = None, patience: int = PATIENCE_SECONDS,
    ) -> Reply:  # fmt: skip
        """Runs ``program`` with ``request`` (and ``body`` after it on stdin). ``answer`` is asked at every ``@`` line; what it gives is
        written to the program's stdin; meanwhile the program hears that this client lives, for ``patience`` seconds at most. ``what`` names
        the service in errors. Raises ``Failure`` where the program failed."""
        head = encode({**self.envelope(), "patience": str(patience), **request}) + b".\n" + body
        for attempt in range(ATTEMPTS):
            self.master.ensure()
            reply, code, last = self._once(program, head, answer, what)
            if reply.failure is not None:
                raise Failure(f"{what} on {self.connection.name}: {reply.failure}")
            if code == 0:
                return reply
            if any(line == "@missing" for line in last):
                upload(self.master, self.tool, self.started)
                self.started = time.time()
            elif any(line == "@altered" for line in last):
                raise Failure(f"{what} on {self.connection.name}: {altered(self.tool)}.")
            elif reply.facts or code != 255:
                # It had begun: what it did is for its next run to find out, not to be done twice unseen.
                tail = "; ".join([*reply.noise, *last])[-300:].strip()
                raise Failure(
                    f"{what} on {self.connection.name}: the host program `{program}` ended with code {code}"
                    f"{' (connection lost)' if code == 255 else ''}{': ' + tail if tail else ''}; "
                    f"run it again, it goes on where it stopped."
                )
            else:
                time.sleep(0.1 * (attempt + 1))
        tail = "; ".join(last)[-300:]
        raise Failure(
            f"{what}: the host {self.connection.name} opens no channel on the SSH connection ({tail or 'no reason given'}); try again."
        )

    def envelope(self) -> dict[str, str]:
        """What every host program is told besides its request."""
        run = held(self.connection)
        return {
            "root": self.connection.root, "quiet": str(silence()), "by": _by(), "stack": self.connection.stack,
            "generation": run.generation, "lock": run.lock,
        }  # fmt: skip

    @staticmethod
    def _answered(
        answer: Callable[[str, list[str], Reply], str | None], key: str, values: list[str], reply: Reply, child: Child
    ) -> str | None:
        if key not in QUESTIONS:
            return answer(key, values, reply)
        with Heartbeat(child):
            return answer(key, values, reply)

    def _once(
        self, program: str, head: bytes, answer: Callable[[str, list[str], Reply], str | None] | None, what: str
    ) -> tuple[Reply, int, list[str]]:
        reply = Reply()
        command = [*self.master.command(), "--", self.master.destination, boot(self.tool, program)]
        child = Child(command, self.master.slot(), talk=True)
        try:
            child.write(head)
            for raw in lines_of(child.stdout, reply, what):
                taken = reply.take(raw.decode("utf-8", "surrogateescape"))
                if taken is None:
                    continue
                key, values = taken
                if key == "waiting":
                    tell_waiting(what, values)
                    if values[5:] == ["asks"]:
                        child.write(b"ok\n")
                elif answer is not None:
                    text = self._answered(answer, key, values, reply, child)
                    if text is not None:
                        child.write((text + "\n").encode("utf-8", "surrogateescape"))
            last = MASK.text(child.stderr.read(20_000).decode(errors="replace")).split("\n")
            child.end_input()
            code = child.wait()
        except BaseException:
            child.kill()  # its end of stdin is how the host program learns that nobody waits for it
            raise
        reply.end()
        return reply, code, [line for line in last if line.strip()]


def lines_of(stream: BinaryIO, reply: Reply, what: str) -> Iterator[bytes]:
    """The lines that a host program writes; what it is at work on for long is said on this side's stderr. ``what`` names it. Raises
    ``Failure`` where it says nothing for longer than any of its tools may take."""
    import select

    descriptor, rest = stream.fileno(), b""
    watched = select.poll()
    watched.register(descriptor, select.POLLIN)
    last = time.monotonic()
    while True:
        if not watched.poll(min(STEP_SECONDS, reply.mute) * 1000):
            if time.monotonic() - last >= reply.mute:
                at = f" ({reply.under_way})" if reply.under_way else ""
                raise Failure(
                    f"{what}: the host program has said nothing for {reply.mute} s{at}, which is longer than any of its tools may take, so "
                    "it was left; see its process and its disk on the host; once it has ended, run it again, it goes on where it stopped."
                )
            if reply.under_way:
                tell(f"{what}: {reply.under_way}")
            continue
        data = os.read(descriptor, 65536)
        last = time.monotonic()
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
        if not data:
            if rest:
                yield rest
            return


class Heartbeat:
    """Use as a context: meanwhile a host program hears every few seconds that its client lives."""

    def __init__(self, child: Child) -> None:
        self._child, self._every = child, max(1.0, silence() / 5)
        self._over, self._writing = allocate_lock(), allocate_lock()

    def __enter__(self) -> None:
        self._over.acquire()
        start_new_thread(self._beat, ())

    def __exit__(self, *_: object) -> None:
        with self._writing:
            self._over.release()

    def _beat(self) -> None:
        while not self._over.acquire(timeout=self._every):
            with self._writing:
                if not self._over.locked():
                    return
                self._child.write(b"alive\n")


def tell_waiting(what: str, values: list[str]) -> None:
    """Says that a host program waits for a lock: its name, who holds it (program, account and machine), for how many seconds, how many it
    may take."""
    name, program, by, held, left = (*values, "", "", "", "", "")[:5]
    whose = f"{program} of {by}" if by else program
    tell(f"{what}: waiting on the host for {name or 'a lock'}: {whose} has held it for {held} s; {left} s at most")


def _number(text: str) -> int:
    """Seconds; 0 where it is no number of them."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _by() -> str:
    user = os.environ.get("GITHUB_ACTOR") or os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
    return "".join(c if c.isprintable() else "?" for c in f"{user}@{os.uname().nodename}")[:100]


def encode(request: dict[str, str]) -> bytes:
    """The request as lines of shell assignments ``q_name='value'``. Values with a line break or NUL are refused."""
    lines = []
    for name, value in request.items():
        if "\n" in value or "\0" in value or "\r" in value:
            raise Failure(f"The request's {name} holds a line break or NUL; such names are not supported.")
        lines.append(f"q_{name}={quote(value)}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def words(arguments: list[str]) -> str:
    """An argument list as shell words, to be given to ``eval set --`` on the host."""
    return " ".join(quote(argument) for argument in arguments)
