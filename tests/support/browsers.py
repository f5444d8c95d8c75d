"""Chromium without a window, for tests of pages; skipped where it is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["chromium", "show", "waited"]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; it ends with the block."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium or chromedriver is not on PATH; tools/install-system installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Tests may run as root and in containers, where its sandbox and /dev/shm do not work.
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield driven
    finally:
        driven.quit()


def show(browser: Any, *, width: int = 1200, dark: bool = False) -> None:
    """Look at pages in a window of this width, with the colours of this scheme."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def waited(browser: Any, condition: Callable[[Any], Any]) -> Any:
    """What ``condition`` returns of the browser, once that is true."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 20, 0.05).until(condition)
