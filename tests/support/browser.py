"""Pages of control as a browser meets them: over TLS on loopback, and looked at in every theme and size."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import uvicorn
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from fastapi import APIRouter
from playwright.async_api import Browser, Page, Route, async_playwright
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.control import OPERATED, Place, a_place

from clawmates.base.settings import Mode, Platform, Settings
from clawmates.base.x509 import Authority, Names
from clawmates.control.static import files
from clawmates.control.web import build_web
from clawmates.wire.release import Release
from clawmates.wire.vault_client import VaultClient

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium(home: Path | None = None) -> AsyncIterator[Browser]:
    """Debian's own, without a window; with a ``home``, it believes what :func:`believe` left there."""
    environment: dict[str, str | float | bool] | None = None
    if home is not None:
        environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS), env=environment)
        try:
            yield browser
        finally:
            await browser.close()


NOWHERE = "https://page.invalid"
"""An origin that only exists inside the browser: https, so that WebCrypto is there."""


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


class Quiet(uvicorn.Server):
    """Leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(
    folder: Path,
    *rooms: APIRouter,
    release: Release | None = None,
    vault: Callable[[], VaultClient] | None = None,
    authority: Authority | None = None,
) -> AsyncIterator[Place]:
    """A place whose pages are there under its own origin; ``place.asked`` is what its server could log.

    ``authority`` is what a browser believes that looks at certificates; without, only one that does not can come.
    """
    authority = authority or Authority.create("pages", datetime.now(UTC))
    pair = authority.issue(Names(dns=("localhost",)), datetime.now(UTC))
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(pair.certificate)
    key.touch(0o600)
    key.write_bytes(pair.key)
    listening = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        platform=Platform(mode=Mode.HOSTED, region="eu-test"),
        control=replace(OPERATED, origin=f"https://localhost:{listening.getsockname()[1]}"),
    )
    async with a_place(folder / "state", *rooms, settings=settings, release=release, vault=vault) as place:
        server = Quiet(
            uvicorn.Config(
                _noting(build_web(place.context, rooms), place.asked),
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


def believe(home: Path, authority: Path) -> None:
    """Into the store (NSS) of the Chromium that lives there: where it doubts a certificate, it knows no passkeys."""
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    for arguments in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "test", "-i", str(authority))):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)


def _noting(app: ASGIApp, asked: list[str]) -> ASGIApp:
    """Notes of each request its target and its headers, but for cookies."""

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [f"{name!r}: {value!r}" for name, value in scope["headers"] if name != b"cookie"]
        asked.append("\n".join((f"{scope['method']} {scope['raw_path']!r} {scope['query_string']!r}", *headers)))
        await app(scope, receive, send)

    return note


Theme = Literal["light", "dark"]
PHONE, DESK = (390, 844), (1280, 800)
LOOKS: dict[str, tuple[tuple[Theme, tuple[int, int]], ...]] = {
    "en": (("light", PHONE), ("dark", DESK)),
    "de": (("dark", PHONE), ("light", DESK)),
}
"""By language: each page is seen in both themes and sizes, and each of the four together with one language."""
_CUT = """() => [...document.querySelectorAll("main *")]
  .filter((one) => one.checkVisibility() && one.clientWidth > 40 && one.scrollWidth > one.clientWidth + 1)
  .filter((one) => getComputedStyle(one).overflowX !== "visible" && !one.matches("pre, textarea, input"))
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What does not fit into its frame: it is there, and is not seen."""
_AXE = Axe().axe_script
Rules = Literal["all", "colours", "others"]
RULES: dict[str, dict[tuple[int, int], Rules]] = {
    "en": {PHONE: "all", DESK: "colours"},
    "de": {DESK: "others"},
}
"""What axe looks at, for it is dear: contrasts in either theme, in one language; all else on both, in either size."""
_VIOLATIONS = """(rules) => axe.run({
      resultTypes: ["violations"], selectors: false, preload: false, iframes: false,
      ...(rules === "colours" ? {runOnly: {type: "rule", values: ["color-contrast"]}} : {}),
      ...(rules === "others" ? {rules: {"color-contrast": {enabled: false}}} : {}),
    }).then((found) => found.violations)"""
_WATCH = """() => {
  document.activeElement.blur();
  scrollTo(0, 0);
  window.reached = new Map();
  const note = ({target: one}) => {
    const style = getComputedStyle(one.closest(".option") || one);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    window.reached.set(one, [one.outerHTML.slice(0, 120), ring]);
  };
  document.addEventListener("focusin", note);
}"""
"""Notes what gets the focus, and whether it shows."""
AT_A_TIME = 8


async def inspect(page: Page, name: str, language: str, pictures: Path | None = None) -> list[str]:
    """What is wrong with the page as it is now, in two looks; leaves a picture of each in ``pictures``."""
    wrong: list[str] = []
    # Begins with the size that the last page was left in: to lay it out anew is the dearer the more there is.
    looks = sorted(LOOKS[language], key=lambda one: page.viewport_size != {"width": one[1][0], "height": one[1][1]})
    for theme, (width, height) in looks:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        where = f"{name} {theme} {width}"
        if rules := RULES[language].get((width, height)):
            wrong += [f"{where}: {one}" for one in await violations(page, rules)]
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            wrong.append(f"{where}: scrolls sideways, {wide} px")
        wrong += [f"{where}: cut off: {one}" for one in await page.evaluate(_CUT)]
        if pictures is not None:
            # Half the work of a PNG.
            await page.screenshot(path=pictures / f"{name}-{theme}-{width}.jpg", type="jpeg", full_page=True)
    # Where the Tab key goes, and what shows it, is in no language.
    return wrong + (await rings(page, name) if language == "en" else [])


async def violations(page: Page, rules: Rules) -> list[str]:
    """What axe finds that would keep somebody out."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for one in await page.evaluate(_VIOLATIONS, rules)
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


async def rings(page: Page, where: str) -> list[str]:
    """What the Tab key reaches without showing it; and that it reaches all that can be worked with."""
    await page.evaluate(_WATCH)
    found: list[tuple[str, bool]] = []
    for pressed in range(AT_A_TIME, 200, AT_A_TIME):
        # Held down, for a key let go is one more event that nobody listens to.
        for _ in range(AT_A_TIME):
            await page.keyboard.down("Tab")
        found = await page.evaluate("[...window.reached.values()]")
        if len(found) < pressed:
            break
    await page.keyboard.up("Tab")
    wrong = [f"{where}: no ring around {element}" for element, ring in found if not ring]
    if not found:
        wrong.append(f"{where}: the Tab key reaches nothing")
    return wrong
