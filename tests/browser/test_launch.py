"""From an e-mail address to a living bot and to its end: the real platform, Chromium, and stand-ins for the world."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from pypdf import PdfReader
from tests.support.browser import believe, chromium
from tests.support.mail import Server, Trust, smtp
from tests.support.netlog import NetLog

from clawmates.mate.texts import for_code
from clawmates.proofs.canary import mint
from clawmates.selfhost import services
from clawmates.simulator.model import Service
from clawmates.trials.hosted import free_port, hosted
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.codes import Code
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(400)

TOKENS, KEYS, PROMPTS, EDITS, OTHERS = (mint() for _ in range(5))
PROMPT, EDITED = f"Speak like a pirate. {PROMPTS.mark}", f"Speak like a nurse. {EDITS.mark}"
OTHER = f"sk-ant-{OTHERS.stem}{OTHERS.stem[:8]}"
PERSON = 4711
CONTROLLER, COMPANY = "Example Ltd, 1 Example Street, Example Town", "Łódź Größe & Söhne KG"
MILLISECONDS = 60_000


@dataclass
class World:
    """What the walk needs."""

    trial: Throwaway
    mail: Server
    bot: Bot
    page: Page
    origin: str

    async def answer(self, text: str) -> str:
        """What the bot says to that."""
        before = await self.trial.simulator.sent(self.bot.token, PERSON)
        await self.trial.simulator.say(self.bot.token, PERSON, text)
        after = before[-1].message_id if before else 0
        reply = await self.trial.simulator.wait_reply(self.bot.token, PERSON, after=after, timeout=60)
        return reply.text

    async def told(self, text: str, after: int) -> list[str]:
        """What the bot says from then on, up to what holds ``text``: notices are between its answers."""
        said = []
        while True:
            reply = await self.trial.simulator.wait_reply(self.bot.token, PERSON, after=after, timeout=90)
            said.append(reply.text)
            if text in reply.text:
                return said
            after = reply.message_id

    async def mails(self, number: int) -> None:
        """Waits until so many have come."""
        async with asyncio.timeout(30):
            while len(self.mail.taken) < number:  # noqa: ASYNC110 - another process sends them
                await asyncio.sleep(0.05)

    async def link(self) -> str:
        """That of the mail which comes next."""
        await self.mails(1)
        found = re.search(r"https://\S+/enter#[0-9A-Z-]+", self.mail.message().get_content())
        assert found is not None
        return found[0]

    async def status(self, word: str) -> None:
        """Waits until the page says so, by itself."""
        await expect(self.page.locator("[data-live-status]")).to_have_text(word, timeout=MILLISECONDS)


@asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    place = Path(tempfile.mkdtemp(prefix="cm-mail-", dir="/var/tmp"))
    port = free_port()
    try:
        async with smtp(Trust(place)) as mail:
            settings = hosted(port)
            settings["control"] |= {"controller": CONTROLLER, "hosting": "Example Hosting, Frankfurt am Main"}
            settings |= {
                "control.smtp": {
                    "host": f"localhost:{mail.port}",
                    "sender": "bots@example.org",
                    "authority": str(place / "authority.pem"),
                }
            }
            async with throwaway(settings=settings) as trial:
                bot = Bot.invent("pirate", ChannelKind.TELEGRAM)
                bot = Bot(
                    name="pirate",
                    channel=bot.channel,
                    token=f"424242:{TOKENS.stem}_-{TOKENS.stem[:13]}",
                    key=f"sk-{KEYS.stem}{KEYS.stem[:8]}",
                    username="pirate_bot",
                )
                await trial.introduce(bot, trial.model)
                await asyncio.to_thread(believe, place, trial.state.authority)
                async with chromium(place) as browser:
                    page = await (await browser.new_context(locale="en", reduced_motion="reduce")).new_page()
                    yield World(trial, mail, bot, page, f"https://localhost:{port}")
    finally:
        shutil.rmtree(place)


async def ask_for_link(world: World) -> None:
    page = world.page
    await page.goto(f"{world.origin}/sign-in")
    await page.get_by_label("E-mail address").fill("ada@example.org")
    await page.get_by_role("button", name="Send me a link").click()
    await page.wait_for_url(f"{world.origin}/enter")


async def open_link(world: World) -> None:
    page = world.page
    await page.goto(await world.link())
    await page.click("main form button")
    await page.wait_for_url(f"{world.origin}/bots")


async def fill_in(world: World) -> None:
    """The guided way to its last button, with BotFather's part played already."""
    page = world.page
    await page.get_by_role("link", name="Make your first bot").click()
    await page.get_by_label("Name", exact=True).fill("Pirate")
    await page.get_by_role("radio", name=re.compile("OpenAI")).check()
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_label("Model").select_option(world.trial.model)
    await page.get_by_role("radio", name=re.compile("Whom I give a code")).check()
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_text("@BotFather").first).to_be_visible()
    await page.get_by_label("Bot token").fill(world.bot.token)
    await page.get_by_label(re.compile("API key")).fill(world.bot.key)
    await page.get_by_label("System prompt").fill(PROMPT)


async def launch(world: World) -> None:
    await world.page.get_by_role("button", name="Seal and launch").click()
    await world.page.wait_for_url(re.compile(r"/bots/b-[0-9a-f]+$"))


async def sign_in_without_mail(world: World) -> None:
    """While the mail server is down; the page says so, and the link comes when it is back."""
    async with world.mail.away():
        await ask_for_link(world)
        async with asyncio.timeout(30):
            while not await world.page.get_by_text("Our mail server does not answer").is_visible():
                await world.page.reload()
    await open_link(world)


async def launch_without_node(world: World) -> None:
    """Node is killed as the form is on its way."""
    await fill_in(world)
    async with world.page.expect_request(re.compile(r"/seal$")):
        launched = asyncio.create_task(launch(world))
    supervisor = world.trial.platform.supervisor
    os.kill(supervisor.pid("node"), signal.SIGKILL)
    await supervisor.stop("node")
    await launched


async def node_back(world: World) -> None:
    """The page has said that the bot's host is away; what was begun goes on by itself, once."""
    why = world.page.locator("[data-live-why]")
    await expect(why).to_have_text(re.compile("host does not answer"), timeout=MILLISECONDS)
    await world.status("Starting")
    await world.trial.platform.supervisor.start([services.node(world.trial.state)])
    await world.status("Live")
    await expect(why).to_be_hidden()
    (one,) = (await world.trial.live.status()).bots
    assert (one.state, one.restarts) == (BotState.LIVE, 0), "begun once"


async def let_in(world: World) -> None:
    """The owner's own code, sent to the bot as Telegram's link does."""
    page = world.page
    await page.get_by_role("button", name="Let somebody in").click()
    link = await page.get_by_role("link", name="Open @pirate_bot in Telegram").get_attribute("href")
    assert link is not None
    assert link.startswith("https://t.me/pirate_bot?start=")
    await world.answer(f"/start {link.partition('=')[2]}")


async def prompts(world: World) -> list[object]:
    """What the AI provider was told to be, call by call."""
    return [call.parameters.get("instructions") for call in await world.trial.simulator.journal(Service.OPENAI)]


async def edit_prompt(world: World) -> None:
    page = world.page
    await page.get_by_role("link", name="Prompt").click()
    await page.get_by_role("button", name="Show the prompt").click()
    await expect(page.get_by_label("System prompt")).to_have_value(PROMPT)
    await page.get_by_label("System prompt").fill(EDITED)
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(re.compile(r"/bots/b-[0-9a-f]+$"))


async def until_followed(world: World) -> None:
    """The running container opens the new prompt by itself; nobody says when, so it is asked."""
    async with asyncio.timeout(60):
        while (await prompts(world))[-1] != EDITED:
            await world.answer("and now?")


async def change_provider(world: World) -> None:
    """In the middle of an answer; the question is answered all the same, by the next one."""
    page, simulator = world.page, world.trial.simulator
    model = world.trial.model_of("anthropic")
    await world.trial.stand_ins.at(Service.ANTHROPIC).add_model(model, Service.ANTHROPIC)
    await simulator.add_key(OTHER, Service.ANTHROPIC)
    await simulator.set_style(gap_ms=1000, words=100, service=Service.OPENAI)
    calls = (await simulator.journal(Service.OPENAI))[-1].number
    before = (await simulator.sent(world.bot.token, PERSON))[-1].message_id
    await simulator.say(world.bot.token, PERSON, "in the middle")
    await simulator.wait_call(Service.OPENAI, "", after=calls, timeout=60)

    await page.get_by_role("link", name="AI provider: Change").click()
    await page.get_by_role("radio", name=re.compile("Anthropic")).check()
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_label("Model").select_option(model)
    await page.get_by_label(re.compile("API key")).fill(OTHER)
    await page.get_by_role("button", name="Seal and change").click()
    await page.wait_for_url(re.compile(r"/bots/b-[0-9a-f]+$"))

    said = await world.told("in the middle", before)
    await simulator.say(world.bot.token, PERSON, "and after")
    said += await world.told("and after", before)
    apologies = {for_code(code) for code in Code}
    assert apologies.isdisjoint(said)
    asked = [call.parameters["system"] for call in await simulator.journal(Service.ANTHROPIC)]
    assert len(asked) == 2
    assert EDITED in str(asked[-1])
    await world.status("Live")


async def cancel_and_come_back(world: World) -> None:
    """The container is gone within a minute, and cannot be started; one click, and it answers again."""
    page, here = world.page, world.page.url
    await page.get_by_role("link", name="Account").click()
    await page.get_by_role("link", name="Cancel the subscription").click()
    await page.get_by_role("button", name="Cancel the subscription").click()
    await page.wait_for_url(f"{world.origin}/account")
    async with asyncio.timeout(60):
        await world.trial.until_only()
    await page.goto(here)
    await world.status("Stopped: subscription cancelled")
    await expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    await page.get_by_role("button", name="Take it up again").click()
    await page.wait_for_url(f"{world.origin}/account")
    await page.goto(here)
    await world.status("Live")
    assert "back" in await world.answer("I am back")
    await world.mails(3)  # a word on each of the two, after the one link


async def agree(world: World) -> None:
    """For a company: the file that a child of control printed, under the user and in the walls that control has."""
    page = world.page
    await page.goto(f"{world.origin}/account")
    await page.get_by_role("link", name="Make the agreement").click()
    await page.get_by_label("Company").fill(COMPANY)
    await page.get_by_label("Address").fill("Example Road 7\n90-001 Łódź")
    await page.get_by_label("Who signs").fill("Ada Example, director")
    async with page.expect_download() as begun:
        await page.get_by_role("button", name="Make the agreement").click()
    paper = await asyncio.to_thread((await (await begun.value).path()).read_bytes)
    text = " ".join(PdfReader(io.BytesIO(paper)).pages[0].extract_text().split())
    assert all(one in text for one in (CONTROLLER, COMPANY))
    await page.reload()
    await expect(page.get_by_text(hashlib.sha256(paper).hexdigest())).to_be_visible()


async def test_from_an_address_to_a_living_bot_and_its_end() -> None:
    async with a_world() as world:
        page, log = world.page, await NetLog.of(world.page)
        await sign_in_without_mail(world)
        await launch_without_node(world)
        here = page.url
        await node_back(world)
        await expect(page.get_by_role("link", name="@pirate_bot").first).to_be_visible()
        assert page.url == here

        await let_in(world)
        await page.goto(here)
        before = int(await page.locator("[data-live-today]").inner_text())
        assert "hello" in await world.answer("hello")
        assert (await prompts(world))[-1] == PROMPT
        await expect(page.locator("[data-live-today]")).not_to_have_text(str(before), timeout=MILLISECONDS)
        assert int(await page.locator("[data-live-today]").inner_text()) > before

        container = (await world.trial.live.status()).bots[0].container
        await edit_prompt(world)
        await until_followed(world)
        assert (await world.trial.live.status()).bots[0].container == container, "it followed without a restart"

        await change_provider(world)
        assert (await world.trial.live.status()).bots[0].container == container, "nor for another provider"

        await page.get_by_role("button", name="Pause").click()
        await world.status("Paused")
        await world.trial.until_only()
        await page.get_by_role("button", name="Resume").click()
        await world.status("Live")
        assert "again" in await world.answer("hello again")

        assert len(world.mail.taken) == 1, "the one link that was asked for"
        await cancel_and_come_back(world)
        await agree(world)
        await page.goto(here)
        await page.get_by_role("link", name="Delete this bot").click()
        await page.get_by_role("button", name="Delete Pirate for good").click()
        await expect(page.get_by_role("heading", name="This bot is deleted")).to_be_visible(timeout=MILLISECONDS)
        await world.trial.until_only()
        assert (await world.trial.live.status()).bots == ()

        assert [one for one in log.addresses if not one.startswith(f"{world.origin}/")] == []
        for canary in (TOKENS, KEYS, PROMPTS, EDITS, OTHERS):
            assert log.search(canary) == []
