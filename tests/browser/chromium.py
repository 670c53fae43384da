"""Debian's Chromium without a window, and what it says of a page."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

PATIENCE = 30.0
"""Seconds until something that should happen counts as not happening."""


def missing() -> str | None:
    """Which program is not installed; None if all are."""
    programs = ("chromium", "chromedriver")
    return next((each for each in programs if shutil.which(each) is None), None)


class Browser:
    """One window, with short names for what tests do in it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, route: str = "") -> None:
        """Load a file anew, as one who follows a link into it."""
        self.driver.get("about:blank")
        self.said()
        self.driver.get(page.as_uri() + route)

    def js(self, script: str, *arguments: object) -> Any:
        """Run a script in the page, and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object) -> Any:
        """Wait until an expression is true, and return it."""
        return self.until(lambda: self.js(f"return {script}", *arguments), script)

    def until(self, done: Callable[[], Any], what: str) -> Any:
        """Wait until something is true, and return it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = done()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{what} has not come true within {PATIENCE:g} s")

    def cdp(self, command: str, **arguments: object) -> Any:
        """Speak to the browser itself."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def resize(self, width: int, height: int = 900) -> None:
        """Make the page as wide as a screen, in CSS pixels."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Say whether the reader's system is light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def said(self) -> list[str]:
        """Warnings and errors on the console since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]  # selenium leaves it untyped

    def requests(self) -> list[str]:
        """Addresses that were asked for since it was last asked."""
        log = self.driver.get_log("performance")  # type: ignore[no-untyped-call]  # selenium leaves it untyped
        events = [json.loads(entry["message"])["message"] for entry in log]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


@contextmanager
def chromium(downloads: Path) -> Iterator[Browser]:
    """Start a browser; its processes end with the block."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--window-size=1280,900", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's does not start for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
