"""Every page in Chromium: both themes, phone and desk, both languages. ``PICTURES=FOLDER`` keeps what was seen."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import APIRouter
from image.catalogue import load
from playwright.async_api import Browser, Page, expect
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support import catalogue
from tests.support.browser import inspect, served
from tests.support.control import NOON, Place, a_bot, a_node, signed_in
from tests.support.vault import furnished, within

from clawmates.base.shape import encode_json
from clawmates.control.accounts import changes, sessions
from clawmates.control.accounts.tables import Account, Passkey
from clawmates.control.agreement.tables import Agreement
from clawmates.control.audit import chain
from clawmates.control.bots.tables import Bot, BotDay, BotItem, BotReceipt, BotState
from clawmates.control.errors import Problem
from clawmates.control.outbox.tables import Errand
from clawmates.control.promises.telling import STEPS
from clawmates.control.rooms import ROOMS
from clawmates.wire.deeds import Deed, Look, Looked, Moved, Sealed, SignedIn, Way
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import DestroyedItem, KeysCopy, Receipt, SignedReceipt, Subject
from clawmates.wire.vault_deeds import OfBot

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]
CHECKOUT = Path(__file__).parents[2]
PICTURES = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None
KNOWN = load(CHECKOUT / "image/catalogue.toml")
RELEASE = replace(
    catalogue.RELEASE,
    channels=KNOWN.channels,
    providers=tuple(replace(one, verified="2026-02-01") if one.id == "google" else one for one in KNOWN.providers),
)
"""What is really on offer; one of them was not looked up for long."""
MODEL = KNOWN.providers[0].models[1].id
broken = APIRouter()


@broken.get("/broken/{key}")
async def fail(key: str) -> None:
    kinds = [Problem]
    for kind in kinds:
        if kind.key == key:
            raise kind(retry_after=30)
        kinds += kind.__subclasses__()


@asynccontextmanager
async def opened(browser: Browser, place: Place, language: str, cookie: str = "") -> AsyncIterator[Page]:
    """A page of a browser that speaks the language; fails on a request elsewhere, a refusal by the policy, an error."""
    said: list[str] = []
    asked: list[str] = []
    async with await browser.new_context(locale=language, ignore_https_errors=True, reduced_motion="reduce") as context:
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
    wrong: list[str] = []
    for name, address in addresses.items():
        await page.goto(f"{place.context.origin}{address}")
        assert await page.get_attribute("html", "lang") == language
        wrong += await inspect(page, f"{name}-{language}", language, PICTURES)
    assert not wrong, "\n".join(wrong)


LANGUAGES = pytest.mark.parametrize("language", ["en", "de"])
LONG = "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüsselbund"


@LANGUAGES
async def test_pages_for_everybody(browser: Browser, language: str, tmp_path: Path) -> None:
    async with served(tmp_path, *ROOMS, broken, release=RELEASE) as place, opened(browser, place, language) as page:
        await look(
            page,
            place,
            language,
            {
                "home": "/",
                "sign-in": "/sign-in",
                "enter": "/enter",
                "privacy": "/privacy",
                "faq": "/faq",
                "stored": "/privacy/stored",
                "subprocessors": "/privacy/subprocessors",
                "not-found": "/nowhere",
                "proof-wanted": "/broken/proof-wanted",
                "internal": "/broken/internal",
            },
        )
        await page.goto(f"{place.context.origin}/sign-in")
        await page.fill("#field-email", "ada@example")
        await page.press("#field-email", "Enter")
        await page.wait_for_selector("[aria-invalid]")
        assert not await inspect(page, f"sign-in-wrong-{language}", language, PICTURES)


@LANGUAGES
async def test_pages_of_the_account(browser: Browser, language: str, tmp_path: Path) -> None:
    async with served(tmp_path, *ROOMS) as place:
        account, cookie = await enter(
            place, "ada.with.quite.a.long.name.indeed.it.is@mail.department.university.example.org"
        )
        now = place.clock.now()
        async with opened(browser, place, language, cookie) as page:
            await look(page, place, language, {"account": "/account", "prove": "/prove", "cancel": "/account/cancel"})
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
                made = {"digest": "0123456789abcdef" * 4, "version": "1, clawmates 0.1.0", "language": "de"}
                database.add(Agreement(account_id=account, made_at=now, **made))
                await busy(place, database, account)
            await look(page, place, language, {"account-full": "/account", "activity": "/activity"})
            await look(page, place, language, {"activity-empty": "/activity?until=2020-01-01T00:00:00.000Z"})
            async with place.database.writing() as database:
                (await database.get_one(Account, account)).cancelled_at = now
            await look(page, place, language, {"agreement": "/account/agreement"})
            await page.evaluate("document.forms[0].noValidate = true")
            await page.locator("main form .primary").click()
            await page.wait_for_selector("[aria-invalid]")
            assert not await inspect(page, f"agreement-wrong-{language}", language, PICTURES)
            left = {"account-cancelled": "/account", "cancelled": "/account/cancel", "bots-cancelled": "/bots"}
            await look(page, place, language, left | {"new-cancelled": "/bots/new"})
            place.clock.forward(minutes=11)
            await look(page, place, language, {"data-unproved": "/account/data"})


async def busy(place: Place, database: AsyncSession, account: str) -> None:
    """Two days of an account; no vault answers, and the page says so."""
    mine = await chain.pseudonym_of(database, account)
    bot = OfBot(bot=LONG[:40].replace(" ", "-").lower().strip("-"))
    database.add(a_bot(bot.bot, account, name=LONG[:60]))
    for hours, deed, detail, whom in (
        (-30, Deed.SIGNED_IN, SignedIn(way=Way.PASSKEY), mine),
        (-29, Deed.BOT_CREATED, bot, mine),
        (-28, Deed.BOT_SEALED, Sealed(bot=bot.bot, item=ItemName.CHANNEL_TOKEN, version=1), mine),
        (-3, Deed.BOT_MOVED, Moved(bot=bot.bot, origin="node-1", node="node-2"), mine),
        (-2, Deed.ADMIN_LOOKED, Looked(what=Look.BOTS), ""),
        (-1, Deed.ADMIN_LOOKED, Looked(what=Look.BOTS), ""),
        (0, Deed.BOT_PAUSED, bot, mine),
    ):
        chain.note(database, place.clock.now() + timedelta(hours=hours), deed, detail, whom)


def receipt(bot: str, account: str) -> BotReceipt:
    """What the vault signed when a bot went."""
    destroyed = tuple(DestroyedItem(bot=bot, name=name, version=1) for name in ItemName)
    body = Receipt(
        id="r-5b1f0c2d9e",
        region="eu-test",
        subject=Subject.BOT,
        name=bot,
        tenant=account,
        bots=(bot,),
        items=destroyed,
        tenant_keys=0,
        asked="2026-11-30T11:59:58Z",
        destroyed="2026-11-30T12:00:00Z",
        keys_copy=KeysCopy.REPLACED,
        software="0.1.0",
        key_id="k-1",
    )
    signed = encode_json(SignedReceipt(receipt=body, signature="")).decode()
    return BotReceipt(bot_id=bot, account_id=account, at=NOON, body=signed)


async def furnish(place: Place, account: str) -> None:
    """Bots in every state that their pages know."""
    states = {
        "b-live": ("live", "", "Marvin"),
        "b-token": ("refused", "bad-token", LONG[:60]),
        "b-credit": ("degraded", "no-credit", "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"),
        "b-old": ("live", "", "Kleo"),
    }
    async with place.database.writing() as session:
        session.add(a_node(seen_at=NOON))
        await session.flush()
        session.add(a_bot("b-draft", account, name="Draft", stage="draft", channel="telegram", model=MODEL))
        session.add(a_bot("b-starting", account, name="Starting", channel="telegram", node="node-1", model=MODEL))
        session.add(a_bot("b-paused", account, name="Paused", channel="telegram", paused=True, model=MODEL))
        for bot, (state, code, name) in states.items():
            session.add(a_bot(bot, account, name=name, channel="telegram", node="node-1", model=MODEL))
            await session.flush()
            session.add(
                BotState(
                    bot_id=bot,
                    node="node-1",
                    state=state,
                    code=code,
                    username="a_rather_long_username_bot",
                    since=NOON,
                    reported_at=NOON - timedelta(hours=bot == "b-old"),
                )
            )
        for day in range(90):
            messages = (day * 37) % 23 * (day % 7 != 0)
            session.add(
                BotDay(bot_id="b-live", day=(NOON - timedelta(days=day)).date(), messages=messages, tokens=messages)
            )
        for name in ("channel-token", "provider-key", "prompt", "people"):
            session.add(BotItem(bot_id="b-live", name=name, version=1, kept=1, trouble="", changed_at=NOON))
        session.add(BotItem(bot_id="b-token", name="prompt", version=2, kept=1, trouble="too-large", changed_at=NOON))
        session.add(Errand(lane="bot/b-live", kind="change", body="", tries=0, trouble="", due_at=NOON, made_at=NOON))
        await session.flush()
        live = await session.get_one(Bot, "b-live")
        live.fallback_provider, live.fallback_model = "openai", "gpt-6-luna"
        session.add(receipt("b-gone", account))


@asynccontextmanager
async def bots_at(folder: Path) -> AsyncIterator[Place]:
    """With a vault that really serves."""
    with furnished() as house:
        house.configure(region="eu-test")
        async with (
            within(house) as vault,
            served(folder, *ROOMS, release=RELEASE, vault=lambda: vault.client("eu-test/control/control")) as place,
        ):
            yield place


@LANGUAGES
async def test_pages_of_bots(browser: Browser, language: str, tmp_path: Path) -> None:
    async with bots_at(tmp_path) as place:
        account, cookie = await enter(place)
        async with opened(browser, place, language, cookie) as page:
            await look(page, place, language, {"bots-none": "/bots"})
            await furnish(place, account)
            await look(
                page,
                place,
                language,
                {
                    "bots": "/bots",
                    "new": "/bots/new",
                    "setup": "/bots/b-draft/setup",
                    "seal": "/bots/b-draft/seal",
                    "draft": "/bots/b-draft",
                    "live": "/bots/b-live",
                    "starting": "/bots/b-starting",
                    "paused": "/bots/b-paused",
                    "refused": "/bots/b-token",
                    "degraded": "/bots/b-credit",
                    "edit": "/bots/b-live/edit",
                    "prompt": "/bots/b-live/prompt",
                    "people": "/bots/b-live/people",
                    "token": "/bots/b-token/token",
                    "key": "/bots/b-live/key",
                    "provider": "/bots/b-live/provider",
                    "provider-model": "/bots/b-live/provider/anthropic",
                    "fallback": "/bots/b-live/fallback",
                    "fallback-same": "/bots/b-live/fallback/openai",
                    "no-prompt": "/bots/b-starting/prompt",
                    "delete": "/bots/b-token/delete",
                    "gone": "/bots/b-gone",
                    "data": "/account/data",
                },
            )
            wrong: list[str] = []
            await page.goto(f"{place.context.origin}/bots/b-live/edit")
            await page.locator("summary").click()
            await page.fill("#field-temperature", "hot")
            await page.locator("main .primary").click()
            await page.wait_for_selector("[aria-invalid]")
            wrong += await inspect(page, f"edit-wrong-{language}", language, PICTURES)
            await page.goto(f"{place.context.origin}/bots/b-live")
            await page.locator("form[action$='/pair'] button").click()
            await page.wait_for_selector("[data-pair-link]")
            wrong += await inspect(page, f"pair-{language}", language, PICTURES)
            await page.goto(f"{place.context.origin}/bots")
            await page.context.set_offline(True)
            await page.wait_for_selector("#offline:not([hidden])")
            wrong += await inspect(page, f"offline-{language}", language, PICTURES)
            assert not wrong, "\n".join(wrong)


async def test_all_but_sealing_works_without_javascript(browser: Browser, tmp_path: Path) -> None:
    async with (
        bots_at(tmp_path) as place,
        await browser.new_context(locale="en", ignore_https_errors=True, java_script_enabled=False) as context,
    ):
        account, cookie = await enter(place)
        await furnish(place, account)
        async with place.database.writing() as session:
            await session.execute(delete(Errand))
        await context.add_cookies([{"name": sessions.COOKIE, "value": cookie, "url": place.context.origin}])
        page = await context.new_page()
        await page.goto(f"{place.context.origin}/bots/b-live/fallback")
        await page.get_by_role("radio", name="OpenAI").check()
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_label("Model").select_option("gpt-5.6-sol")
        await page.get_by_role("button", name="Save").click()
        await page.goto(f"{place.context.origin}/bots/b-live/prompt")
        await page.get_by_role("button", name="Remove the prompt").click()
        async with place.database.reading() as session:
            assert (await session.get_one(Bot, "b-live")).fallback_model == "gpt-5.6-sol"
            assert (await session.get_one(BotItem, ("b-live", "prompt"))).kept == 0
        await page.goto(f"{place.context.origin}/bots/b-live/provider")
        await page.get_by_role("radio", name="Anthropic").check()
        await page.get_by_role("button", name="Go on").click()
        # A browser whose scripts are only held back does not show what stands in <noscript>.
        assert "This page needs JavaScript" in await page.content()
        await page.get_by_label("API key").fill("sk-ant-typed-0001")
        await page.get_by_role("button", name="Seal and change").click()
        assert "typed-0001" not in "".join(place.asked), "what has no name cannot be sent"
        await page.goto(f"{place.context.origin}/bots/b-live")
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_text("Paused").first).to_be_visible()
        await page.get_by_role("button", name="Deutsch").click()
        await expect(page.get_by_role("heading", name="Einstellungen")).to_be_visible()


MARKED = """() => [...document.querySelectorAll(".stops > li")]
    .filter((one) => getComputedStyle(one).backgroundColor !== "rgba(0, 0, 0, 0)")
    .map((one) => one.id)"""


async def test_the_way_of_a_message_is_followed_by_key_without_javascript(browser: Browser, tmp_path: Path) -> None:
    async with (
        served(tmp_path, *ROOMS) as place,
        await browser.new_context(locale="en", ignore_https_errors=True, java_script_enabled=False) as context,
    ):
        page = await context.new_page()
        # 1280 pixels at a zoom of 200 %, and at one of 400 % (WCAG 2.2, 1.4.10).
        for width in (640, 320):
            await page.set_viewport_size({"width": width, "height": 480})
            await page.goto(f"{place.context.origin}/privacy")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        reached: list[str] = []
        for _ in range(30):
            await page.keyboard.press("Tab")
            link = page.locator(".path a:focus")
            if await link.count():
                step = str(await link.get_attribute("href"))
                reached.append(step)
                marked = await page.evaluate(MARKED)
                assert marked == [step.removeprefix("#")], "what has the focus is marked below"
        assert reached == [f"#step-{one}" for one in STEPS]
        await page.locator(".path a").nth(2).press("Enter")
        assert await page.evaluate("document.activeElement.id") == "step-container"
        told = page.locator("#step-container dd")
        assert await told.count() == 4
        assert all([await told.nth(number).is_visible() for number in range(4)])


async def test_a_page_that_is_hard_to_see_or_use_is_found(browser: Browser, tmp_path: Path) -> None:
    """The seeded defects: each of the checks above turns red."""
    async with served(tmp_path, broken) as place, opened(browser, place, "en") as page:
        await page.goto(f"{place.context.origin}/")
        await page.evaluate(
            """() => {
              const sheet = new CSSStyleSheet();
              sheet.replaceSync(`
                .lead { color: #ccc !important; background: #ddd }
                h1 { min-width: 900px }
                a { outline: 0 !important }
                .way { overflow-x: auto } .way p { white-space: nowrap }
              `);
              document.adoptedStyleSheets = [sheet];
            }"""
        )
        wrong = "\n".join(await inspect(page, "seeded", "en"))
    for sign in ("color-contrast (serious)", "scrolls sideways", "no ring around <a", "cut off: <ol"):
        assert sign in wrong
