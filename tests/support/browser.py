"""Chromium, and a control that answers it without a network: requests are handed to the application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright
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


Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
LOOKS = tuple((theme, size) for theme in THEMES for size in ((390, 844), (1280, 800)))
"""Both themes on a phone and on a desk."""
_RING = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const shown = one.closest(".option") || one;
  const style = getComputedStyle(shown);
  return [one.outerHTML.slice(0, 120), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
}"""


async def inspect(page: Page, shot: Path) -> list[str]:
    """What is wrong with the page as it is now, in every look; leaves a picture of each beside ``shot``."""
    wrong: list[str] = []
    for theme, (width, height) in LOOKS:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        where = f"{shot.name} {theme} {width}"
        found = await Axe().run(page)
        wrong += [
            f"{where}: {one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary']}"
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            wrong.append(f"{where}: scrolls sideways, {wide} px")
        await page.screenshot(path=shot.with_name(f"{shot.name}-{theme}-{width}.png"), full_page=True)
    return wrong + await rings(page, shot.name)


async def rings(page: Page, where: str) -> list[str]:
    """What the Tab key reaches without showing it; and that it reaches all that can be worked with."""
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    reached, wrong = set(), []
    for _ in range(200):
        await page.keyboard.press("Tab")
        found = await page.evaluate(_RING)
        if found is None or found[0] in reached:
            break
        reached.add(found[0])
        if not found[1]:
            wrong.append(f"{where}: no ring around {found[0]}")
    if not reached:
        wrong.append(f"{where}: the Tab key reaches nothing")
    return wrong
