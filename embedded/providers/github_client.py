"""GitHub's REST API as the provider ``github`` needs it: pace, retries, errors in the published provider's words."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from embedded.providers.base import ProviderError

if TYPE_CHECKING:
    import httpx

PUBLIC_API = "https://api.github.com/"
_LONGEST_WAIT = 300.0  # seconds; a rate limit that lasts longer is an error
_TIMEOUT = 60.0  # seconds for an answer
_BACKOFF = 1.0  # seconds before the first retry of an error of the server; doubled each time
_RETRIED = (500, 502, 503, 504)


class Missing(ProviderError):  # noqa: N818 - as base's UnknownPackage, it names what is the matter
    """What was asked for is not there (404)."""


def segment(text: str) -> str:
    """``text`` as one segment of a path."""
    return quote(text, safe="")


class GithubClient:
    """One client for all operations of a provider; connects when it is first used. Settings are strings, as they stand in the state."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._token = str(settings.get("token") or "")
        self._base = _api(str(settings.get("baseUrl") or PUBLIC_API))
        self._retries = _whole(settings, "maxRetries", 3)
        self._retry_delay = _whole(settings, "retryDelayMs", 0) / 1000 or _BACKOFF
        self._write_delay = _whole(settings, "writeDelayMs", 1000) / 1000
        self._read_delay = _whole(settings, "readDelayMs", 0) / 1000
        self._insecure = str(settings.get("insecure", "")).lower() == "true"
        self._lock = threading.Lock()
        self._pace = threading.Lock()
        self._last = 0.0
        self._client: httpx.Client | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON (``None`` where it has none). Raises ``Missing`` on 404 and ``ProviderError`` on any other error."""
        import httpx

        url = self._base + path
        attempt = 0
        while True:
            try:
                answer = self._send(method, url, body)
            except httpx.HTTPError as error:
                if attempt >= self._retries or not isinstance(
                    error, (httpx.ConnectError, httpx.RemoteProtocolError, httpx.TimeoutException)
                ):
                    raise ProviderError(f"{method} {url}: {error or type(error).__name__}") from None
                wait = self._retry_delay * 2**attempt
            else:
                if answer.status_code < 300:
                    return _json(answer)
                wait = self._wait(answer, attempt)
                if wait is None:
                    raise _refusal(method, url, answer)
            attempt += 1
            time.sleep(wait)

    def _send(self, method: str, url: str, body: Any) -> httpx.Response:
        """One request, at the pace that GitHub asks for: writes one after the other."""
        delay = self._read_delay if method == "GET" else self._write_delay
        if not delay:
            return self._opened().request(method, url, json=body) if body is not None else self._opened().request(method, url)
        with self._pace:
            time.sleep(max(0.0, self._last + delay - time.monotonic()))
            try:
                return self._opened().request(method, url, json=body) if body is not None else self._opened().request(method, url)
            finally:
                self._last = time.monotonic()

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                headers = {
                    "Accept": "application/vnd.github+json",
                    "User-Agent": "pulumi-embedded",
                    "X-GitHub-Api-Version": "2022-11-28",
                }
                if self._token:
                    headers["Authorization"] = f"Bearer {self._token}"
                self._client = httpx.Client(headers=headers, timeout=_TIMEOUT, verify=not self._insecure, follow_redirects=True)
            return self._client

    def _wait(self, answer: httpx.Response, attempt: int) -> float | None:
        """Seconds to wait before the request is sent again; ``None``: it is not."""
        limited = answer.status_code == 429 or (
            answer.status_code == 403 and ("retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0")
        )
        if attempt >= self._retries or not (limited or answer.status_code in _RETRIED):
            return None
        wait = self._retry_delay * 2**attempt
        if limited:
            try:
                if "retry-after" in answer.headers:
                    wait = float(answer.headers["retry-after"])
                elif "x-ratelimit-reset" in answer.headers:
                    wait = float(answer.headers["x-ratelimit-reset"]) - time.time()
            except ValueError:
                pass
        return max(wait, 0.0) if wait <= _LONGEST_WAIT else None

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _api(base: str) -> str:
    """The API's root below a base URL: an Enterprise server has it at ``api/v3/``."""
    url = urlsplit(base)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ProviderError(f"github: baseUrl {base!r} is not an http(s) URL")
    root = base.rstrip("/") + "/"
    if url.hostname == "api.github.com" or url.hostname.endswith(".ghe.com") or root.endswith("/api/v3/"):
        return root
    return PUBLIC_API if url.hostname == "github.com" else root + "api/v3/"


def _whole(settings: Mapping[str, Any], name: str, default: int) -> int:
    value = settings.get(name)
    if value in (None, ""):
        return default
    try:
        return int(float(str(value)))
    except ValueError:
        raise ProviderError(f"github: {name} {value!r} is not a whole number") from None


def _json(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        raise ProviderError(f"{answer.request.method} {answer.request.url}: the answer is no JSON") from None


def _refusal(method: str, url: str, answer: httpx.Response) -> ProviderError:
    try:
        found = answer.json()
        message = str(found.get("message", "")) if isinstance(found, dict) else ""
    except ValueError:
        message = ""
    kind = Missing if answer.status_code == 404 else ProviderError
    return kind(f"{method} {url}: {answer.status_code} {message or answer.reason_phrase} []")
