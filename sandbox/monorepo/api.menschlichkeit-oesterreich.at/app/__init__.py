"""The API of Menschlichkeit Österreich: members, their profiles, and what other services ask about them."""

__version__ = "1.0.0"
