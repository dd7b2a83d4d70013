"""Chromium, and pages of control that a server of the test's own gives it over TLS on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import uvicorn
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from fastapi import APIRouter
from playwright.async_api import Browser, Page, async_playwright
from tests.support.control import Place, a_place

from clawmates.base.settings import Control, Mode, Platform, Settings
from clawmates.base.x509 import Authority, Names
from clawmates.control.web import build_web
from clawmates.wire.release import Release

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


class Quiet(uvicorn.Server):
    """Leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(folder: Path, *rooms: APIRouter, release: Release | None = None) -> AsyncIterator[Place]:
    """A place whose pages are there under its own origin."""
    pair = Authority.create("pages", datetime.now(UTC)).issue(Names(dns=("localhost",)), datetime.now(UTC))
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(pair.certificate)
    key.touch(0o600)
    key.write_bytes(pair.key)
    listening = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        platform=Platform(mode=Mode.HOSTED, region="eu-test"),
        control=Control(origin=f"https://localhost:{listening.getsockname()[1]}"),
    )
    async with a_place(folder / "state", *rooms, settings=settings, release=release) as place:
        server = Quiet(
            uvicorn.Config(
                build_web(place.context, rooms),
                ssl_certfile=chain,
                ssl_keyfile=key,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield place
        finally:
            server.should_exit = True
            await task


Theme = Literal["light", "dark"]
PHONE, DESK = (390, 844), (1280, 800)
LOOKS: dict[str, tuple[tuple[Theme, tuple[int, int]], ...]] = {
    "en": (("light", PHONE), ("dark", DESK)),
    "de": (("dark", PHONE), ("light", DESK)),
}
"""By language: each page is seen in both themes and sizes, and each of the four together with one language."""
_RING = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const shown = one.closest(".option") || one;
  const style = getComputedStyle(shown);
  return [one.outerHTML.slice(0, 120), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
}"""


async def inspect(page: Page, shot: Path, language: str) -> list[str]:
    """What is wrong with the page as it is now, in two looks; leaves a picture of each beside ``shot``."""
    wrong: list[str] = []
    for theme, (width, height) in LOOKS[language]:
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
