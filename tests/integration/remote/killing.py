"""A host whose programs are wrapped in its PATH: the wrapper counts its calls, and at the one that the test names it kills the session of
the host program as the end of the machine would, with the groups that timeout(1) makes in it.

So every point of interruption is met, each time the same (``MO_TEST_EVERY=1``; without it every third, to save time).
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .conftest import Remote, Sshd

EVERY = int(os.environ.get("MO_TEST_EVERY", "3"))
"""Which of the points of interruption are tried."""
WRAPPER = """#!/bin/sh
# Where orders/at holds n, the n-th call of any wrapped program kills everything of this session (nothing is left to clean up), or waits
# where there is orders/wait, until that is gone.
orders={orders}
if [ -s "$orders/at" ]; then
  echo "{name} $*" >>"$orders/calls"
  if [ "$(wc -l <"$orders/calls")" -ge "$(cat "$orders/at")" ]; then
    /bin/rm -f "$orders/at"; : >"$orders/killed"
    if [ -e "$orders/wait" ]; then
      while [ -e "$orders/wait" ]; do sleep 0.01; done
      exec {real} "$@"
    fi
    pkill -KILL -s "$(ps -o sess= -p $$ | tr -d ' ')"
    sleep 5
  fi
fi
exec {real} "$@"
"""


class Killer:
    """``at`` makes the n-th call of a wrapped program fatal, or (``wait``) lets it wait for ``off``; ``killed``: whether it did."""

    def __init__(self, folder: Path) -> None:
        self.orders = folder

    def at(self, call: int, wait: bool = False) -> None:
        for name in ("calls", "killed", "at", "wait"):
            (self.orders / name).unlink(missing_ok=True)
        if wait:
            (self.orders / "wait").touch()
        (self.orders / "at").write_text(str(call))
        (self.orders / "at").chmod(0o666)

    def off(self) -> None:
        for name in ("at", "wait"):
            (self.orders / name).unlink(missing_ok=True)

    @property
    def killed(self) -> bool:
        return (self.orders / "killed").exists()


@contextmanager
def host(account: pwd.struct_passwd, orders: Path, programs: Iterable[str]) -> Iterator[Sshd]:
    """An SSH server for ``account`` with these programs wrapped; ``orders``: the folder of its ``Killer``."""
    folder = Path(tempfile.mkdtemp(prefix="mo-sshd-"))
    folder.chmod(0o755)
    wrappers = folder / "bin"
    wrappers.mkdir()
    for name in programs:
        real = shutil.which(name)
        assert real, name
        (wrappers / name).write_text(WRAPPER.format(orders=orders, name=name, real=real))
        (wrappers / name).chmod(0o755)
    server = Sshd(folder, account)
    server.start(environment={"PATH": f"{wrappers}:{os.environ['PATH']}"})
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def everywhere(killer: Killer, remote: Remote, attempt: Callable[[int], tuple[str, dict[str, Any]]], limit: int) -> Iterator[int]:
    """Kills the step that ``attempt`` gives (with its request) in place of its 1st, 2nd, … call, and yields that number after each kill,
    until one is not killed, which must be before ``limit``."""
    for call in range(1, limit, EVERY):
        step, fields = attempt(call)
        killer.at(call)
        child = remote.popen(step, **fields)
        _, err = child.communicate(timeout=120)
        killer.off()
        assert (child.returncode != 0) == killer.killed, f"killed at call {call}: {killer.killed}; {err.decode()}"
        if not killer.killed:
            return
        yield call
    raise AssertionError("it never ended undisturbed")
