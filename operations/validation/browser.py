"""Debian's Chromium, driven by Playwright, on the stack's public URLs."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.models import Service
from catalog.settings import StackSettings
from operations.wording import on_one_line

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
STEP_TIMEOUT = 15.0
"""Seconds for each thing that a page must do."""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class BrowserError(Exception):
    """There is no browser, or it ended by itself: nothing is known about the site then."""


@dataclass(frozen=True)
class Site:
    """Where a stack's services are, as a browser asks for them."""

    settings: StackSettings
    services: dict[str, Service]

    def url(self, service: str, path: str = "/") -> str:
        """The public URL of a service."""
        edge, host = self.settings.edge, self.services[service].host
        port = "" if edge.port == (443 if edge.scheme == "https" else 80) else f":{edge.port}"
        return f"{edge.scheme}://{host + '.' if host else ''}{self.settings.domain}{port}{path}"

    @property
    def flags(self) -> list[str]:
        """Chromium's arguments. It visits our own pages only, and often as root, where its own sandbox cannot start."""
        found = ["--no-sandbox", "--disable-dev-shm-usage"]
        if to := self.settings.edge.connect:
            domain = self.settings.domain
            found.append(f"--host-resolver-rules=MAP {domain} {to}, MAP *.{domain} {to}")
        return found

    @property
    def context(self) -> dict[str, Any]:
        """Options of every browser context. A private authority is unknown to Chromium; the smoke tests check its certificates."""
        return {"ignore_https_errors": self.settings.edge.ca_file is not None, "locale": "de-AT", "timezone_id": "Europe/Vienna"}


def chromium() -> str:
    """The browser's program. Raises ``BrowserError`` where there is none."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise BrowserError("There is no Chromium on this machine: install Debian's package chromium.")


@contextmanager
def opened(site: Site) -> Iterator[Browser]:
    """A browser without a window. Raises ``BrowserError`` where it cannot be started."""
    program = chromium()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise BrowserError("Playwright is not installed: run bin/setup.") from None
    with _recorder(), sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=site.flags)
        except Error as error:
            raise BrowserError(f"Chromium cannot be started: {first_line(error)}") from None
        try:
            yield browser
        finally:
            if browser.is_connected():
                browser.close()


def recorder() -> str | None:
    """The program that makes the videos, ``None`` where there is none."""
    there = shutil.which("ffmpeg")
    if there is not None:
        return there
    try:
        from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-untyped, unused-ignore]

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


@contextmanager
def _recorder() -> Iterator[None]:
    """Playwright looks for its recorder in its own folder of browsers, under a name that its release fixes."""
    program = recorder()
    if program is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="mo-browsers-") as folder:
        place = Path(folder) / f"ffmpeg-{_revision()}" / "ffmpeg-linux"
        place.parent.mkdir()
        place.symlink_to(program)
        before = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
        os.environ["PLAYWRIGHT_BROWSERS_PATH"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["PLAYWRIGHT_BROWSERS_PATH"]
            else:
                os.environ["PLAYWRIGHT_BROWSERS_PATH"] = before


def _revision() -> str:
    import playwright

    listed = json.loads((Path(playwright.__file__).parent / "driver/package/browsers.json").read_bytes())
    return next((str(entry["revision"]) for entry in listed["browsers"] if entry["name"] == "ffmpeg"), "0")


def first_line(error: Exception) -> str:
    """What Playwright says, without its log of calls, colours and control characters."""
    text = _COLOUR.sub("", str(error))
    lines = [" ".join(on_one_line(line, None).split()) for line in text.splitlines()]
    said = [line for line in lines if line][:1] + [
        line for line in lines[1:] if line.startswith(("Expected", "Actual", "Received"))
    ]
    waited = next((found[1] for line in lines if (found := re.search(r"waiting for (?!\d)(.+)", line))), None)
    if waited is not None:
        said = [f"{said[0]}: {waited}"]
    return "; ".join(said)[:300] or type(error).__name__
