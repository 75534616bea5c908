"""A real browser, as people have one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

from deploy.local.browser import HOW, find_browser
from tests.support.needs import missing

_QUIET: Final = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start the machine's Chromium; without one a test is skipped, in CI it fails."""
    program = find_browser() or missing(HOW)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*_QUIET, *sandbox]
        )
        try:
            yield browser
        finally:
            await browser.close()
