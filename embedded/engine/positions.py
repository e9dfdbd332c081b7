"""Source positions and stack traces of the program, as the state has them: relative to the project's folder."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit


class Positions:
    """``project:///__main__.py#7`` for line 7 of the file in the project's folder."""

    def __init__(self, root: str) -> None:
        self._root = os.path.normpath(root)
        self._path = lru_cache(maxsize=4096)(self._relative)

    def of(self, request: Any) -> tuple[str, list[dict[str, str]]]:
        """Position and stack trace of a registration."""
        position = self._position(request.sourcePosition) if request.HasField("sourcePosition") else ""
        trace = []
        if request.HasField("stackTrace"):
            for frame in request.stackTrace.frames:
                where = self._position(frame.pc) if frame.HasField("pc") else ""
                trace.append({"sourcePosition": where} if where else {})
        return position, trace

    def _position(self, raw: Any) -> str:
        path = self._path(raw.uri)
        if not path or raw.line < 0 or raw.column < 0:
            return ""
        return f"project://{path}#{raw.line}" + (f",{raw.column}" if raw.column else "")

    def _relative(self, uri: str) -> str:
        parts = urlsplit(uri)
        path = unquote(parts.path)
        if parts.scheme != "file" or not path.startswith("/"):
            return ""
        return "/" + quote(os.path.relpath(path, self._root), safe="/$&+,:;=@!'()*~")
