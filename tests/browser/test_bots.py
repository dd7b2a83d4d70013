"""A person launches a bot in Chromium: control's pages over TLS, a vault that really runs, and a node that is a row."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select
from tests.browser.test_pages import enter
from tests.support.launching import Bench, a_bench
from tests.support.netlog import NetLog
from tests.support.schemas import check
from tests.support.vault import Running, running

from clawmates.base.secret import Secret
from clawmates.control.accounts import sessions
from clawmates.control.bots.tables import Bot, BotDay, BotState
from clawmates.control.nodes.desired import desired_of
from clawmates.control.privacy.export import by_browser, from_rows
from clawmates.inventory.packing import file_of
from clawmates.proofs.canary import mint
from clawmates.wire.names import ItemName
from clawmates.wire.people import load
from clawmates.wire.vault import Redemption, TicketRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKENS, KEYS, PROMPTS, LATER, OTHERS = (mint() for _ in range(5))
TOKEN = f"424242:{TOKENS.stem}_-{TOKENS.stem[:13]}"
KEY = f"sk-{KEYS.stem}"
OTHER = f"sk-ant-{OTHERS.stem}"
PROMPT = f"Speak like a pirate. {PROMPTS.mark}"
EDITED = f"Speak like a nurse. {LATER.mark}"


@asynccontextmanager
async def person(browser: Browser, bench: Bench) -> AsyncIterator[Page]:
    """A signed-in browser; whatever the policy refuses or a script throws fails the test."""
    _, cookie = await enter(bench.place)
    wrong: list[str] = []
    async with await browser.new_context(locale="en", ignore_https_errors=True, reduced_motion="reduce") as context:
        await context.add_cookies(
            [{"name": sessions.COOKIE, "value": cookie, "url": bench.place.context.origin, "httpOnly": True}]
        )
        page = await context.new_page()
        page.on("pageerror", lambda one: wrong.append(str(one)))
        page.on("console", lambda one: wrong.append(one.text) if "Content Security" in one.text else None)
        yield page
    assert wrong == []


async def up_to_secrets(bench: Bench, page: Page) -> str:
    await page.goto(f"{bench.place.context.origin}/bots")
    await page.get_by_role("link", name="Make your first bot").click()
    await page.get_by_label("Name", exact=True).fill("Pirate")
    await page.get_by_role("radio").first.check()
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_role("radio").nth(1).check()
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("heading", name="Token, key and prompt")).to_be_visible()
    return page.url.split("/")[4]


async def type_wrongly_then(page: Page) -> None:
    """Each mistake has its sentence, and the last try is right."""
    for wrong, sentence in (("123", "no Telegram bot token"), (TOKEN, "no API key")):
        await page.get_by_label("Bot token").fill(wrong)
        await page.get_by_label("API key of openai").fill("short")
        await page.get_by_role("button", name="Seal and launch").click()
        await expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    await page.get_by_label("API key of openai").fill(KEY)
    await page.get_by_label("Begin with").select_option(index=1)
    await expect(page.get_by_label("System prompt")).not_to_be_empty()
    await page.get_by_label("System prompt").fill("x" * 65537)
    await page.get_by_role("button", name="Seal and launch").click()
    await expect(page.get_by_role("alert").filter(has_text="larger than 64 KiB")).to_be_visible()
    await page.get_by_label("System prompt").fill(PROMPT)
    await page.get_by_role("button", name="Seal and launch").dblclick()


async def opened(bench: Bench, bot: str) -> dict[ItemName, str]:
    """What a container would be given."""
    async with bench.place.database.reading() as session:
        (spec,) = (await desired_of(session, "node-1", bench.place.clock.now())).bots
    node = bench.vault.client("eu-test/node/node-1")
    ticket = await node.ticket(TicketRequest(bot=bot, generation=1, items=spec.items))
    release = await bench.vault.mate.redeem(Redemption(bot=bot, ticket=ticket.ticket))
    return {item.name: item.value.reveal() for item in release.items}


async def test_what_is_typed_leaves_sealed_and_comes_back_to_its_owner_alone(browser: Browser, tmp_path: Path) -> None:
    async with a_bench(tmp_path, tls=True) as bench, person(browser, bench) as page:
        log = await NetLog.of(page)
        bot = await up_to_secrets(bench, page)
        await type_wrongly_then(page)

        await expect(page.get_by_text("Being handed to the vault")).to_be_visible()
        here = page.url
        assert here.endswith(f"/bots/{bot}")
        await bench.worker.round()
        await expect(page.get_by_text("Starting")).to_be_visible()
        now = bench.place.clock.now()
        state = BotState(bot_id=bot, node="node-1", state="live", code="", username="pirate_bot")
        state.since = state.reported_at = now
        async with bench.place.database.writing() as session:
            session.add(state)
            session.add(BotDay(bot_id=bot, day=now.date(), messages=3, tokens=40))
        await expect(page.locator(".status.live")).to_have_text("Live")
        await expect(page.get_by_role("link", name="@pirate_bot")).to_be_visible()
        await expect(page.locator("[data-live-today]")).to_have_text("3")
        assert page.url == here

        found = await opened(bench, bot)
        people = load_people(found.pop(ItemName.PEOPLE))
        assert found == {ItemName.CHANNEL_TOKEN: TOKEN, ItemName.PROVIDER_KEY: KEY, ItemName.PROMPT: PROMPT}
        assert people == ()

        await page.get_by_role("link", name="Prompt").click()
        await page.get_by_role("button", name="Show the prompt").click()
        await expect(page.get_by_label("System prompt")).to_have_value(PROMPT)
        await page.get_by_label("System prompt").fill(EDITED)
        await page.get_by_role("button", name="Save").click()
        await page.wait_for_url(f"**/bots/{bot}")
        await bench.worker.round()
        assert (await opened(bench, bot))[ItemName.PROMPT] == EDITED

        await page.get_by_role("link", name="People").click()
        await page.get_by_role("button", name="Show the list").click()
        await page.get_by_label("Telegram user ids").fill("4711\n42")
        await page.get_by_role("button", name="Save").click()
        await page.wait_for_url(f"**/bots/{bot}")
        await bench.worker.round()
        assert load_people((await opened(bench, bot))[ItemName.PEOPLE]) == ("4711", "42")

        await take_away(bench, page, tmp_path)
        await change_provider(bench, page, bot)
        await begin_anew_then_without(bench, page, bot)

        assert [one for one in log.addresses if not one.startswith(bench.place.context.origin)] == []
        assert sum("sealed" in body for body in log.bodies()) == 4, "the double click was sent once"
        for canary in (TOKENS, KEYS, PROMPTS, LATER, OTHERS):
            assert log.search(canary) == []
        stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert stored == '[{},{},""]'


async def take_away(bench: Bench, page: Page, folder: Path) -> None:
    """All that is held, with the prompt opened here; the zip is whole, and Python reads what the script put into it."""
    here = page.url
    await page.goto(f"{bench.place.context.origin}/account/data")
    await page.get_by_role("button", name="Open it here: the prompt of Pirate").click()
    await expect(page.get_by_text(EDITED)).to_be_visible()
    async with page.expect_download() as begun:
        await page.get_by_role("button", name="Download my data").click()
    await (await begun.value).save_as(folder / "export.zip")
    with zipfile.ZipFile(folder / "export.zip") as package:
        assert package.testzip() is None
        files = {name: json.loads(package.read(name)) for name in package.namelist()}
    assert files.keys() == {file_of(one) for one in (*from_rows(), *by_browser())} | {
        *("about.json", "schema.json", "vault-audit.json")
    }
    for name, schema in files["schema.json"]["properties"].items():
        check(schema, files[name])
    assert [one["text"] for one in files["system-prompt.json"]["documents"]] == [EDITED]
    assert load_people(files["people.json"]["documents"][0]["text"]) == ("4711", "42")
    assert TOKENS.stem not in str(files)
    assert KEYS.stem not in str(files)
    await page.goto(here)


async def change_provider(bench: Bench, page: Page, bot: str) -> None:
    """Another one, with a key of its own; the vault is told before the bot is."""
    await page.get_by_role("link", name="AI provider: Change").click()
    await page.get_by_role("radio").last.check()
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_label("API key").fill(OTHER)
    await page.get_by_role("button", name="Seal and change").click()
    await page.wait_for_url(f"**/bots/{bot}")
    await expect(page.get_by_text("on its way to the vault")).to_be_visible()
    await bench.worker.round()
    await expect(page.get_by_text("on its way to the vault")).to_be_hidden()
    assert (await opened(bench, bot))[ItemName.PROVIDER_KEY] == OTHER
    async with bench.place.database.reading() as session:
        assert (await session.get_one(Bot, bot)).provider == "anthropic"


async def begin_anew_then_without(bench: Bench, page: Page, bot: str) -> None:
    """A template takes the prompt's place and gives it back; then the bot does without one."""
    await page.get_by_role("link", name="Prompt").click()
    await page.get_by_role("button", name="Show the prompt").click()
    field = page.get_by_label("System prompt")
    await expect(field).to_have_value(EDITED)
    await page.get_by_label("Put in a template").select_option(index=1)
    await expect(field).not_to_have_value(EDITED)
    await page.get_by_label("Put in a template").select_option(index=0)
    await expect(field).to_have_value(EDITED)
    await page.get_by_role("button", name="Remove the prompt").click()
    await page.wait_for_url(f"**/bots/{bot}")
    await expect(page.get_by_role("link", name="Prompt: Write one")).to_be_visible()
    assert ItemName.PROMPT not in await opened(bench, bot)


def load_people(text: str) -> tuple[str, ...]:
    return load(Secret(text)).people


async def test_a_page_that_sends_what_was_typed_is_found_out(browser: Browser, tmp_path: Path) -> None:
    """The search is good for something: the same walk with a script that was tampered with."""
    async with a_bench(tmp_path, tls=True) as bench, person(browser, bench) as page:
        log = await NetLog.of(page)
        await up_to_secrets(bench, page)
        leak = "fetch('/call/x', {method: 'POST', body: JSON.stringify({t: btoa('::' + given)})}).then(() => 0)"
        await page.evaluate(f"(given) => {leak}", PROMPT.encode("ascii", "ignore").decode())
        assert log.search(PROMPTS) != []


async def test_a_browser_that_cannot_seal_is_told_so_and_sends_nothing(browser: Browser, tmp_path: Path) -> None:
    async with a_bench(tmp_path, tls=True) as bench, person(browser, bench) as page:
        await page.add_init_script("crypto.subtle.generateKey = () => Promise.reject(new Error('NotSupported'))")
        await up_to_secrets(bench, page)
        await expect(page.get_by_role("alert").filter(has_text="This browser cannot seal")).to_be_visible()
        await expect(page.get_by_role("button", name="Seal and launch")).to_be_disabled()
        async with bench.place.database.reading() as session:
            assert (await session.scalars(select(BotState))).all() == []


async def test_the_vaults_silence_costs_nobody_what_they_typed(browser: Browser, tmp_path: Path) -> None:
    async with a_bench(tmp_path, tls=True, vault_of=running) as bench, person(browser, bench) as page:
        bot = await up_to_secrets(bench, page)
        await page.get_by_label("Bot token").fill(TOKEN)
        await page.get_by_label("API key of openai").fill(KEY)
        await page.context.set_offline(True)
        await page.get_by_role("button", name="Seal and launch").click()
        await expect(page.get_by_role("alert").filter(has_text="We cannot be reached")).to_be_visible()
        await expect(page.get_by_label("Bot token")).to_have_value(TOKEN)
        await page.context.set_offline(False)
        assert isinstance(bench.vault, Running)
        await bench.vault.stop()
        await page.get_by_role("button", name="Seal and launch").click()
        await page.wait_for_url(f"**/bots/{bot}")
        await bench.worker.round()
        await expect(page.get_by_text("goes on by itself when it is back")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("heading", name="Pirate")).to_be_visible()
        assert KEYS.stem not in await page.content(), "what was typed is not there any more"
