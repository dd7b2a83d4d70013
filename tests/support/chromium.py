"""Chromium, as Debian has it, driven by Playwright."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from clawmates.control.static import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page, Route

PATH = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NOWHERE = "https://page.invalid"
"""An origin that only exists inside the browser: https, so that WebCrypto is there."""


@asynccontextmanager
async def chromium(**environment: str) -> AsyncIterator[Browser]:
    """A browser until the end of the block."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=PATH, args=list(FLAGS), env={**environment} or None)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def blank_page(browser: Browser) -> AsyncIterator[Page]:
    """An empty page on :data:`NOWHERE` that can import what control serves, by ``/NAME.js``; no server runs."""

    async def serve(route: Route) -> None:
        found = files().get(route.request.url.rpartition("/")[2])
        if found is None:
            await route.fulfill(body="<!doctype html><title>blank</title>", content_type="text/html")
        else:
            await route.fulfill(body=found.body, content_type=found.kind)

    page = await browser.new_page()
    await page.route("**/*", serve)
    await page.goto(f"{NOWHERE}/")
    try:
        yield page
    finally:
        await page.close()
