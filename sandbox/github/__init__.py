"""A stand-in for the parts of GitHub's REST API that this project uses, on loopback."""

from sandbox.github.store import received_secrets

__all__ = ["received_secrets"]
