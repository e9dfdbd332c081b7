"""Operators for the histories: each a process group of its own that takes the stack's lock and makes releases live, as ``bin/mo`` and its
engine do. Started once with everything imported, this program forks one for each line of JSON on stdin and answers its process id.

A line: ``environment``, ``run`` (the client's launcher), ``requests`` [[step, request], …], ``log`` (a file of JSON lines), ``ttl`` and
``beat`` of the lock, ``patience`` (seconds that it goes on asking for the lock).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from operations.deployment.lock import HostLock
from operations.problem import Problem

STACK = "sandbox"


class Operator:
    """One run, from its lock to its end."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.order = order
        self._log = Path(order["log"])
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def tell(self, event: str, **more: object) -> None:
        """One line of the history; ``at`` is the machine's monotonic clock."""
        with self._log.open("a") as file:
            file.write(json.dumps({"event": event, "at": time.monotonic(), **more}) + "\n")

    def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The step ``lock``, as ``operations.remote`` asks for it."""
        done = self._run("lock", request, stoppable=False)
        if done.returncode:
            raise Problem(done.stderr.strip())
        answer: Mapping[str, Any] = json.loads(done.stdout)
        return answer

    def stop(self) -> None:
        """The lock is lost: what runs is ended, and nothing begins any more."""
        self.tell("lost")
        with self._lock:
            self._stopped = True
            if self._child is not None:
                with suppress(ProcessLookupError):
                    self._child.terminate()

    def work(self) -> None:
        """Takes the lock, within the order's patience, and carries the requests out one after another until one fails."""
        end = time.monotonic() + self.order["patience"]
        while True:
            held = HostLock(self.ask, "a history", ttl=self.order["ttl"], beat=self.order["beat"])
            held.on_lost = self.stop
            try:
                held.__enter__()
                break
            except Problem as problem:
                self.tell("refused", why=str(problem))
                if time.monotonic() > end:
                    return
                time.sleep(0.3)
        generation = int(os.environ.get("MO_LOCK", f"{STACK} 0 -").split(" ")[1])
        self.tell("took", generation=generation)
        try:
            for step, request in self.order["requests"]:
                if self._stopped:
                    return
                self.tell("asked", step=step, service=request["service"], release=request["release"])
                done = self._run(step, request)
                told = {"step": step, "service": request["service"], "release": request["release"], "generation": generation}
                if done.returncode:
                    self.tell("failed", why=done.stderr.strip()[-600:], **told)
                    return
                self.tell("done", **told)
        finally:
            held.__exit__(None, None, None)
            self.tell("ended")

    def _run(self, step: str, request: Mapping[str, Any], *, stoppable: bool = True) -> subprocess.CompletedProcess[str]:
        command = [self.order["run"], step]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if stoppable:
            with self._lock:
                self._child = child
        out, err = child.communicate(json.dumps({"protocol": 1, "stack": STACK, "host": "test-host", **request}))
        return subprocess.CompletedProcess(command, child.returncode, out, err)


def main() -> None:
    """Forks an operator for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.environ.update(order["environment"])
            operator = Operator(order)
            try:
                operator.work()
            except BaseException as error:
                operator.tell("broke", why=repr(error))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
