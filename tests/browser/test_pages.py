"""Every page in Chromium: both themes, phone and desk, both languages. The pictures are left in build/pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter
from playwright.async_api import Page
from tests.support.browser import chromium, inspect, served
from tests.support.control import Place, signed_in

from clawmates.control.accounts import changes, sessions
from clawmates.control.accounts.tables import Passkey
from clawmates.control.errors import Problem
from clawmates.control.rooms import ROOMS

PICTURES = Path(__file__).parents[2] / "build/pages"
broken = APIRouter()


@broken.get("/broken/{key}")
async def fail(key: str) -> None:
    kinds = [Problem]
    for kind in kinds:
        if kind.key == key:
            raise kind(retry_after=30)
        kinds += kind.__subclasses__()


@asynccontextmanager
async def opened(place: Place, language: str, cookie: str = "") -> AsyncIterator[Page]:
    """A page of a browser that speaks the language; fails on a request elsewhere, a refusal by the policy, an error."""
    said: list[str] = []
    asked: list[str] = []
    async with chromium() as browser:
        context = await browser.new_context(locale=language, ignore_https_errors=True)
        if cookie:
            await context.add_cookies([{"name": sessions.COOKIE, "value": cookie, "url": place.context.origin}])
        page = await context.new_page()
        page.on("console", lambda one: said.append(one.text))
        page.on("pageerror", lambda one: said.append(str(one)))
        page.on("request", lambda one: asked.append(one.url))
        yield page
    assert [one for one in asked if not one.startswith((f"{place.context.origin}/", "data:"))] == []
    assert [one for one in said if "Failed to load resource" not in one] == []


async def enter(place: Place, email: str = "ada@example.org") -> tuple[str, str]:
    """An account's id, and the cookie of a browser that is signed in to it."""
    async with place.browser() as client:
        account = await signed_in(place, client, email)
        return account, next(str(one.value) for one in client.cookies.jar if one.name == sessions.COOKIE)


async def look(page: Page, place: Place, language: str, addresses: dict[str, str]) -> None:
    """Inspects each page, and names all that is wrong at once."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    for name, address in addresses.items():
        await page.goto(f"{place.context.origin}{address}")
        assert await page.get_attribute("html", "lang") == language
        wrong += await inspect(page, PICTURES / f"{name}-{language}", language)
    assert not wrong, "\n".join(wrong)


LANGUAGES = pytest.mark.parametrize("language", ["en", "de"])
LONG = "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselbund"


@LANGUAGES
async def test_pages_for_everybody(language: str, tmp_path: Path) -> None:
    async with served(tmp_path, *ROOMS, broken) as place, opened(place, language) as page:
        await look(
            page,
            place,
            language,
            {
                "home": "/",
                "sign-in": "/sign-in",
                "enter": "/enter",
                "not-found": "/nowhere",
                "proof-wanted": "/broken/proof-wanted",
                "internal": "/broken/internal",
            },
        )
        await page.goto(f"{place.context.origin}/sign-in")
        await page.fill("#field-email", "ada@example")
        await page.press("#field-email", "Enter")
        await page.wait_for_selector("[aria-invalid]")
        assert not await inspect(page, PICTURES / f"sign-in-wrong-{language}", language)


@LANGUAGES
async def test_pages_of_the_account(language: str, tmp_path: Path) -> None:
    async with served(tmp_path, *ROOMS) as place:
        account, cookie = await enter(
            place, "ada.with.quite.a.long.name.indeed.it.is@mail.department.university.example.org"
        )
        now = place.clock.now()
        async with opened(place, language, cookie) as page:
            await look(page, place, language, {"account": "/account", "prove": "/prove"})
            async with place.database.writing() as database:
                await sessions.start(database, place.context.random, account, "Chrome, Android", now)
                for number, name in enumerate(("iPhone", LONG[:60]), 1):
                    database.add(
                        Passkey(
                            id=f"key-{number}",
                            account_id=account,
                            public_key=b"k",
                            sign_count=0,
                            name=name,
                            created_at=now,
                            used_at=now if number > 1 else None,
                        )
                    )
                await changes.begin(database, account, "ada@example.com", now)
            await look(page, place, language, {"account-full": "/account"})


async def test_a_page_that_is_hard_to_see_or_use_is_found(tmp_path: Path) -> None:
    """The seeded defects: each of the checks above turns red."""
    async with served(tmp_path, broken) as place, opened(place, "en") as page:
        await page.goto(f"{place.context.origin}/")
        await page.evaluate(
            """() => {
              const sheet = new CSSStyleSheet();
              sheet.replaceSync(`
                .lead { color: #ccc !important; background: #ddd }
                h1 { min-width: 900px }
                a { outline: 0 !important }
              `);
              document.adoptedStyleSheets = [sheet];
            }"""
        )
        PICTURES.mkdir(parents=True, exist_ok=True)
        wrong = "\n".join(await inspect(page, PICTURES / "seeded", "en"))
    for sign in ("color-contrast (serious)", "scrolls sideways", "no ring around <a"):
        assert sign in wrong
