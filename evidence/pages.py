"""Which page was looked at: the one that was asked for, or one that a redirect led to."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_same_page(one: str, other: str) -> bool:
    """Whether two URLs are of one page. HTTPS instead of HTTP, ``www.``, a slash at the end and a fragment make no other page; what is no
    URL is no page."""
    places = [_place(one), _place(other)]
    return None not in places and places[0] == places[1]


def _place(url: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower().removeprefix("www.")
    except ValueError:
        return None
    return (host, parts.path.rstrip("/"), parts.query) if host else None
