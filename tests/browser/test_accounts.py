"""The ways in, in Chromium: a link whose code stays in the browser, and passkeys of its virtual authenticator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page
from tests.support.browser import chromium, served
from tests.support.control import Place
from tests.support.mail import Box, worker

from clawmates.control.accounts import links, pages

ADA = "ada@example.org"


@asynccontextmanager
async def opened(folder: Path, language: str, *, scripts: bool = True) -> AsyncIterator[tuple[Place, Page]]:
    """A place that is served, and a page of a browser that trusts it; a script's complaint fails the test."""
    said: list[str] = []
    async with served(folder, pages.router) as place, chromium(folder) as browser:
        context = await browser.new_context(locale=language, java_script_enabled=scripts)
        page = await context.new_page()
        page.on("console", lambda one: said.append(one.text))
        page.on("pageerror", lambda one: said.append(str(one)))
        yield place, page
    assert [one for one in said if "Failed to load resource" not in one] == []


@asynccontextmanager
async def authenticator(page: Page, *, verified: bool = True) -> AsyncIterator[None]:
    """Of the device itself; it asks for its owner, and the owner is there (CDP, WebAuthn domain)."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    made = await session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verified,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield
    await session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": made["authenticatorId"]})


async def mailed(place: Place) -> str:
    """The link in the mail that waits."""
    box = Box()
    await worker(place, box).round()
    return box.letters[-1].link


async def sign_in(place: Place, page: Page) -> None:
    origin = place.context.origin
    await page.goto(f"{origin}/sign-in")
    await page.fill("[name=email]", ADA)
    await page.click("main form button")
    await page.wait_for_url(f"{origin}/enter")
    link = await mailed(place)
    await page.goto(link)
    await page.wait_for_url(f"{origin}/enter")
    assert await page.input_value("[name=code]") == link.partition("#")[2]
    await page.click("main form button")
    await page.wait_for_load_state()


def address_with_a_query(origin: str, code: str) -> str:
    return f"{origin}/enter?{links.shown(code)}"


@pytest.mark.parametrize("weak", [False, True])
async def test_a_link_signs_in_and_its_code_is_in_no_address_or_header(
    weak: bool,  # noqa: FBT001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its weakened twin puts the code behind a question mark, as most links have it."""
    if weak:
        monkeypatch.setattr(links, "address", address_with_a_query)
    async with opened(tmp_path, "en") as (place, page):
        origin = place.context.origin
        await page.goto(f"{origin}/sign-in")
        await page.fill("[name=email]", ADA)
        await page.click("main form button")
        await page.wait_for_url(f"{origin}/enter")
        link = await mailed(place)
        code = link[-23:]
        await page.goto("about:blank")
        await page.goto(link)
        if not weak:
            assert await page.input_value("[name=code]") == code
            assert page.url == f"{origin}/enter"
            await page.click("main form button")
            await page.wait_for_url(f"{origin}/bots")
            await page.goto(f"{origin}/account")
            assert ADA in await page.inner_text("main")
        assert len(place.asked) > 5
        assert any(code in one or code.replace("-", "") in one for one in place.asked) is weak


async def test_a_code_is_typed_where_there_are_no_scripts(tmp_path: Path) -> None:
    async with opened(tmp_path, "de", scripts=False) as (place, page):
        origin = place.context.origin
        await page.goto(f"{origin}/sign-in")
        assert not await page.is_visible("[data-passkey]")
        await page.fill("[name=email]", ADA)
        await page.click("main form button")
        code = (await mailed(place)).partition("#")[2]
        await page.fill("[name=code]", code.lower().replace("-", " "))
        await page.click("main form button")
        await page.goto(f"{origin}/account")
        assert ADA in await page.inner_text("main")


async def test_a_passkey_is_added_signs_in_and_proves(tmp_path: Path) -> None:
    async with opened(tmp_path, "en") as (place, page), authenticator(page):
        origin = place.context.origin
        await sign_in(place, page)
        await page.goto(f"{origin}/account")
        await page.click("[data-passkey=add] button")
        await page.wait_for_selector("[name=name]")
        assert await page.input_value("[name=name]") == "Chrome, Linux"
        await page.click("form[action='/sign-out'] button")
        await page.wait_for_url(f"{origin}/")
        await page.goto(f"{origin}/sign-in")
        await page.click("[data-passkey=sign-in] button")
        await page.wait_for_url(f"{origin}/bots")
        place.clock.forward(minutes=10)
        await page.goto(f"{origin}/account")
        assert not await page.is_visible("[data-passkey=add]")
        await page.goto(f"{origin}/prove")
        await page.click("[data-passkey=prove] button")
        await page.wait_for_url(f"{origin}/bots")
        await page.goto(f"{origin}/account")
        assert await page.is_visible("[data-passkey=add]")


async def test_a_passkey_whose_owner_is_not_verified_is_not_used(tmp_path: Path) -> None:
    async with opened(tmp_path, "en") as (place, page), authenticator(page, verified=False):
        await sign_in(place, page)
        await page.goto(f"{place.context.origin}/account")
        await page.click("[data-passkey=add] button")
        await page.wait_for_selector("[data-passkey=add] [role=alert]:not([hidden])")
        assert "was not used" in await page.inner_text("[data-passkey=add]")
