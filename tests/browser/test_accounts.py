"""The ways in, in Chromium: a link whose code stays in the browser, and passkeys of its virtual authenticator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from tests.support.browser import believe, chromium, served
from tests.support.control import Place
from tests.support.mail import Box, worker

from clawmates.base.x509 import Authority
from clawmates.control.accounts import links, pages

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADA = "ada@example.org"


@dataclass(frozen=True)
class Trusting:
    """A browser that looks at certificates, as passkeys want it, and the authority that it believes."""

    browser: Browser
    authority: Authority


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trusting]:
    """One for all tests of the file; each has a context and a place of its own."""
    home, authority = tmp_path_factory.mktemp("home"), Authority.create("pages", datetime.now(UTC))
    (home / "authority.pem").write_bytes(authority.pair.certificate)
    believe(home, home / "authority.pem")
    async with chromium(home) as browser:
        yield Trusting(browser, authority)


@asynccontextmanager
async def opened(
    trusting: Trusting, folder: Path, language: str, *, scripts: bool = True
) -> AsyncIterator[tuple[Place, Page]]:
    """A place that is served, and a page of a browser that trusts it; a script's complaint fails the test."""
    said: list[str] = []
    async with (
        served(folder, pages.router, authority=trusting.authority) as place,
        await trusting.browser.new_context(
            locale=language, java_script_enabled=scripts, reduced_motion="reduce"
        ) as context,
    ):
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
    trusting: Trusting,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its weakened twin puts the code behind a question mark, as most links have it."""
    if weak:
        monkeypatch.setattr(links, "address", address_with_a_query)
    async with opened(trusting, tmp_path, "en") as (place, page):
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


async def test_a_code_is_typed_where_there_are_no_scripts(trusting: Trusting, tmp_path: Path) -> None:
    async with opened(trusting, tmp_path, "de", scripts=False) as (place, page):
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


async def test_a_passkey_is_added_signs_in_and_proves(trusting: Trusting, tmp_path: Path) -> None:
    async with opened(trusting, tmp_path, "en") as (place, page), authenticator(page):
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


async def test_a_passkey_whose_owner_is_not_verified_is_not_used(trusting: Trusting, tmp_path: Path) -> None:
    async with opened(trusting, tmp_path, "en") as (place, page), authenticator(page, verified=False):
        await sign_in(place, page)
        await page.goto(f"{place.context.origin}/account")
        await page.click("[data-passkey=add] button")
        await page.wait_for_selector("[data-passkey=add] [role=alert]:not([hidden])")
        assert "was not used" in await page.inner_text("[data-passkey=add]")
