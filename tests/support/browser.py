"""Chromium, and a control that answers it without a network: every request is handed to the application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, Route, async_playwright
from tests.support.control import Place

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's own, without a window."""
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def at(place: Place, context: BrowserContext) -> AsyncIterator[list[str]]:
    """``context`` reaches ``place`` and nothing else. Gives the addresses elsewhere that it asked for, all refused."""
    elsewhere: list[str] = []
    async with place.browser() as client:

        async def answer(route: Route) -> None:
            request = route.request
            if not request.url.startswith(f"{place.context.origin}/"):
                elsewhere.append(request.url)
                await route.abort()
                return
            client.cookies.clear()  # the browser keeps them
            found = await client.request(
                request.method,
                request.url,
                headers={**await request.all_headers(), "accept-encoding": "identity"},
                content=request.post_data_buffer or b"",
            )
            await route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

        await context.route("**/*", answer)
        yield elsewhere
