"""The sandbox for the tests that ask for it."""

from tests.sandbox_fixture import sandbox

__all__ = ["sandbox"]
