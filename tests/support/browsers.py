"""Chromium without a window, for tests of pages; skipped where it is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["Window", "chromium"]

#: Milliseconds that a page may take for what a test waits for.
_PATIENCE = 20_000


class Window:
    """A window of a browser, and what the browser says while it shows a page.

    :param page: Playwright's.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        #: Errors and warnings: of scripts, and of what a policy forbids.
        self.complaints: list[str] = []
        #: The addresses that were asked for.
        self.asked: list[str] = []
        page.set_default_timeout(_PATIENCE)
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self._said("error", str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def look(self, *, width: int = 1200, dark: bool = False) -> None:
        """Show pages in this width from now on, and in the colours of this scheme."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def focus(self, selector: str) -> None:
        """Press Tab until what ``selector`` finds has the focus."""
        for _ in range(200):
            if self.page.evaluate("s => document.activeElement?.matches(s)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} cannot be reached by Tab")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, which opens windows: ``browser()`` is a new one. It ends with the block."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not on PATH; tools/support/install-system installs it")
    playwright.expect.set_options(timeout=_PATIENCE)
    # Tests may run as root and in containers, where its sandbox and /dev/shm do not work.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        try:
            yield lambda: Window(browser.new_context().new_page())
        finally:
            browser.close()
