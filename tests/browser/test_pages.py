"""Every page in Chromium: both themes, phone and desk, both languages. The pictures are left in build/pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter
from playwright.async_api import Page
from tests.support.browser import at, chromium, inspect
from tests.support.control import Place, a_place

from clawmates.control.errors import Problem

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
async def opened(place: Place, language: str) -> AsyncIterator[Page]:
    """A page of a browser that speaks the language; fails on a request elsewhere, a refusal by the policy, an error."""
    said: list[str] = []
    async with chromium() as browser:
        context = await browser.new_context(locale=language)
        async with at(place, context) as elsewhere:
            page = await context.new_page()
            page.on("console", lambda one: said.append(one.text))
            page.on("pageerror", lambda one: said.append(str(one)))
            yield page
            assert elsewhere == []
    assert [one for one in said if "Failed to load resource" not in one] == []


async def look(page: Page, place: Place, language: str, addresses: dict[str, str]) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    for name, address in addresses.items():
        await page.goto(f"{place.context.origin}{address}")
        assert await page.get_attribute("html", "lang") == language
        wrong += await inspect(page, PICTURES / f"{name}-{language}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", ["en", "de"])
async def test_pages_for_everybody(language: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, broken) as place, opened(place, language) as page:
        pages = {
            "home": "/",
            "not-found": "/nowhere",
            "sign-in-wanted": "/broken/proof-wanted",
            "internal": "/broken/internal",
        }
        await look(page, place, language, pages)


async def test_a_page_that_is_hard_to_see_or_use_is_found(tmp_path: Path) -> None:
    """The seeded defects: each of the checks above turns red."""
    async with a_place(tmp_path, broken) as place, opened(place, "en") as page:
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
        wrong = "\n".join(await inspect(page, PICTURES / "seeded"))
    for sign in ("color-contrast (serious)", "scrolls sideways", "no ring around <a"):
        assert sign in wrong
