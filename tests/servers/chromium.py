"""A real browser, without a window, driven by Selenium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.servers.process import require_program


@contextmanager
def chromium(*arguments: str) -> Iterator[Chrome]:
    """A new browser with a profile of its own. Its console is kept."""
    options = ChromeOptions()
    options.binary_location = require_program("chromium", "chromium")
    driver = require_program("chromedriver", "chromium-driver")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", *arguments):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Nothing on the way to a server of this machine, and no look for another driver.
    with mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1,localhost", "SE_OFFLINE": "true"}):
        browser = Chrome(options=options, service=ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def console_of(browser: Chrome) -> list[dict[str, Any]]:
    """What the browser has complained about since the last time."""
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return entries


def emulate(
    browser: Chrome, *, width: int = 1280, height: int = 800, scheme: str = "light"
) -> None:
    """A screen of this size, and ``prefers-color-scheme``."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
