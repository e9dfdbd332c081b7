"""The browser, and where the site is (``MO_FLOWS_DOMAIN``, ``MO_FLOWS_PORT``, ``MO_FLOWS_CHROMIUM``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

Visit = Callable[[str], Page]
"""Opens the first page of a host below the domain."""

expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["MO_FLOWS_CHROMIUM"], args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Each flow has a context of its own: no cookie of another one."""
    context = browser.new_context(ignore_https_errors=True, locale="de-AT")
    context.set_default_timeout(20_000)

    def opened(host: str) -> Page:
        page = context.new_page()
        answer = page.goto(f"https://{host}.{os.environ['MO_FLOWS_DOMAIN']}:{os.environ['MO_FLOWS_PORT']}/")
        assert answer is not None
        assert answer.status == 200, f"{page.url} answers {answer.status}"
        return page

    yield opened
    context.close()
