"""What is changed on a database server is changed by the stack's latest run alone, though the server itself knows of no runs."""

from __future__ import annotations

import pytest

from .conftest import Remote, Service
from .databases import MariaDB, PostgreSQL
from .test_migrations import server
from .test_remove import asked, deployed, exists
from .test_rotation import Side, side

pytestmark = pytest.mark.sandbox
__all__ = ["server", "side"]
OURS, THEIRS = "1" * 16, "2" * 16
TAKEN_OVER = (
    "another run has taken over the stack sandbox since this one began, so this one goes no further; it changes nothing more"
)


def begin(remote: Remote, lock: str, instead: str | None = None) -> None:
    """From now on the steps belong to a run that has just taken the stack's lock."""
    more = {"instead": instead} if instead else {}
    taken = remote.run("lock", action="take", id=lock, owner={"who": lock}, ttl=180, **more)
    assert taken["done"], taken
    remote.environment["MO_LOCK"] = f"sandbox {taken['generation']} {lock}"


def take_over(remote: Remote) -> dict[str, str]:
    """Another run takes the lock over. Gives what the steps of that one have in their environment; ours keep their own."""
    before = dict(remote.environment)
    begin(remote, THEIRS, instead=OURS)
    theirs = dict(remote.environment)
    remote.environment.clear()
    remote.environment.update(before)
    return theirs


def test_an_account_gets_no_password_from_a_run_that_was_taken_over(side: Side) -> None:
    begin(side.remote, OURS)
    side.account("one")
    side.env("one")
    theirs = take_over(side.remote)
    sentence = side.remote.refused("account", **side.asked("late"))
    assert TAKEN_OVER in sentence
    assert "bin/mo status --stack sandbox" in sentence
    assert not side.works(side.user, "late")
    assert side.works(side.user_now, "one")
    # The later run goes on, and so does one after it.
    side.remote.environment.update(theirs)
    side.account("two")
    assert side.works(side.user_now, "two")


def test_a_step_of_no_run_changes_no_account_while_a_run_holds_the_lock(side: Side) -> None:
    begin(side.remote, OURS)
    del side.remote.environment["MO_LOCK"]
    sentence = side.remote.refused("account", **side.asked("by hand"))
    assert "a run holds the lock of the stack sandbox, and this step belongs to none" in sentence
    assert not side.works(side.user, "by hand")


def test_a_run_that_was_taken_over_takes_no_former_password_away(side: Side) -> None:
    begin(side.remote, OURS)
    side.account("one")
    side.env("one")
    former = side.user_now
    side.account("two")
    side.env("two")
    take_over(side.remote)
    assert "another run has taken over the stack sandbox" in side.remote.refused("revoke", **side.asked("two"), rotation="r1")
    assert side.works(former, "one")
    assert side.works(side.user_now, "two")


def test_a_service_that_another_run_has_changed_since_loses_no_database(service: Service, server: MariaDB | PostgreSQL) -> None:
    data = deployed(service, server)
    begin(service.remote, OURS)
    take_over(service.remote)
    assert "another run has taken over the stack sandbox" in service.remote.refused("remove", **asked("drop"))
    assert exists(data)
    assert service.live
