"""The sandbox for every integration test that asks for it."""

from tests.sandbox_fixture import sandbox

__all__ = ["sandbox"]
