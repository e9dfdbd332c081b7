"""A child with pipes, started by ``posix_spawn``: importing ``subprocess`` would take as long as the rest of a step's start."""

from __future__ import annotations

import os

# ``signal`` makes enumerations of them, which takes a tenth of a step's start.
from _signal import SIGKILL, SIGPIPE, SIGTERM, SIGXFSZ  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Child:
    """``talk``: its input comes from ``write``, else it is empty; ``stdout``, ``stderr``: to read from. ``holds``:
    descriptors that the child keeps open. Raises ``FileNotFoundError`` where the program is not there."""

    def __init__(self, command: list[str], holds: int, *, talk: bool, environment: Mapping[str, str] | None = None) -> None:
        os.set_inheritable(holds, True)
        out, err = os.pipe(), os.pipe()
        given = os.pipe() if talk else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
        theirs = (given[0], out[1], err[1])
        self._stdin = given[1]
        self.stdout, self.stderr = os.fdopen(out[0], "rb"), os.fdopen(err[0], "rb")
        try:
            self._pid = os.posix_spawnp(
                command[0], command, os.environ if environment is None else environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, n) for n, descriptor in enumerate(theirs)],
                setsigdef=(SIGPIPE, SIGXFSZ),  # Python ignores them, and what is ignored stays so in a child
            )  # fmt: skip
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._code: int | None = None

    def write(self, data: bytes) -> None:
        """Gives ``data``; nothing where the child has closed its end, for its own end says why."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._stdin, rest) :]
        except BrokenPipeError:
            pass

    def end_input(self) -> None:
        """Closes the child's stdin; it may be closed already."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def wait(self) -> int:
        """Waits for the end; the exit code, or the signal's number below zero."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def kill(self) -> None:
        """Ends the child at once."""
        self._signal(SIGKILL)

    def terminate(self) -> None:
        """Asks the child to end."""
        self._signal(SIGTERM)

    def _signal(self, number: int) -> None:
        if self._code is None:
            os.kill(self._pid, number)
