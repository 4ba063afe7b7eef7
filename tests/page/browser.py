"""A real browser on the page of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.page.server import Server

# The machine may be busy with other tests.
expect.set_options(timeout=15_000)
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def chromium() -> Iterator[Browser]:
    options = []
    if os.getuid() == 0:
        options = ["--no-sandbox"]  # chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page that is open, with everything that the browser complained about."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self._server = server
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self._refuse(dialog))

    def go(self, path: str) -> None:
        self.page.goto(f"{self._server.origin}{path}")

    def expect_missing(self) -> None:
        """Drop the complaints about what the server does not have any more."""
        kept = [text for text in self.complaints if "status of 404" not in text]
        self.complaints[:] = kept

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _refuse(self, dialog: Any) -> None:
        """Note a window of `alert`, which only a script that got into the page opens."""
        self.complaints.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()


@contextmanager
def visiting(
    browser: Browser,
    server: Server,
    *,
    width: int = 1280,
    scheme: Any = "light",
    path: str = "/",
) -> Iterator[Visit]:
    """Open the link that the command printed. Fail if the browser complained about anything."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    context.set_default_timeout(10_000)
    try:
        visit = Visit(context.new_page(), server)
        visit.page.goto(server.link)
        if path != "/":
            visit.go(path)
        yield visit
        assert visit.complaints == [], visit.complaints
    finally:
        context.close()
