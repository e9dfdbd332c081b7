"""Threads that do the work of the highest rank first."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from concurrent.futures import Future

from embedded.engine.ranking import Rank


class Workers:
    """At most ``count`` threads, started when there is work for them. ``ThreadPoolExecutor`` knows first come, first served
    only."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: list[tuple[int, int, int, Callable[[], None], Future[None]]] = []
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._taken = 0
        self._closed = False
        self._changed = threading.Condition()

    def submit(self, work: Callable[[], None], rank: Rank) -> Future[None]:
        """Does ``work`` before all that waits with a lower ``rank``, and after all that came earlier with the same."""
        done: Future[None] = Future()
        with self._changed:
            self._taken += 1
            heapq.heappush(self._waiting, (-rank[0], -rank[1], self._taken, work, done))
            if self._idle < len(self._waiting) and len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name=f"step_{len(self._threads)}", daemon=True)
                thread.start()
                self._threads.append(thread)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Waits until all is done, and ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closed:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                *_, work, done = heapq.heappop(self._waiting)
            try:
                work()
            except BaseException as error:  # whoever waits for it is told
                done.set_exception(error)
            else:
                done.set_result(None)
