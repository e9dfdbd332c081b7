"""Work that goes on comes before work that begins; nothing is lost, and never more is done at once than allowed."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.engine.workers import Workers


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30))
def test_the_highest_rank_goes_first_and_within_it_who_came_first(ranks: list[tuple[int, int]]) -> None:
    workers, begun, go = Workers(1), threading.Event(), threading.Event()
    done: list[tuple[int, int, int]] = []

    def hold() -> None:
        begun.set()
        go.wait()

    workers.submit(hold, (9, 9))
    begun.wait()
    for number, rank in enumerate(ranks):
        workers.submit(lambda rank=rank, number=number: done.append((-rank[0], -rank[1], number)), rank)  # type: ignore[misc]
    go.set()
    workers.close()
    assert len(done) == len(ranks)
    assert done == sorted(done)


def test_as_many_as_allowed_work_side_by_side_and_no_more() -> None:
    workers, together, most, lock = Workers(3), 0, 0, threading.Lock()
    meet = threading.Barrier(3, timeout=20)

    def work() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        meet.wait()
        time.sleep(0.001)
        with lock:
            together -= 1

    futures = [workers.submit(work, (0, 0)) for _ in range(12)]
    for future in futures:
        future.result(20)
    workers.close()
    assert most == 3


def test_a_failure_reaches_who_waits_and_the_thread_lives_on() -> None:
    workers = Workers(1)

    def fail() -> None:
        raise ValueError("broken")

    first, second = workers.submit(fail, (0, 0)), workers.submit(lambda: None, (0, 0))
    with pytest.raises(ValueError, match="broken"):
        first.result(20)
    second.result(20)
    workers.close()
