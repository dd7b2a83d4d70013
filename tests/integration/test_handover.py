"""A bot is replaced while people talk to it, in real containers: nobody notices, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from clawmates.mate import texts
from clawmates.node.events import Happening
from clawmates.proofs.searched import Host
from clawmates.selfhost import bots
from clawmates.simulator.model import Service
from clawmates.trials.handovers import FIRST_PERSON, Handovers, Plan
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState, BotStatus

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BOT = Bot.invent("mia", ChannelKind.TELEGRAM)
PERSON = 7
SECONDS = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial() -> AsyncIterator[Throwaway]:
    async with throwaway(disk=True) as there:
        await there.add([BOT])
        await there.until_live(BOT.name)
        yield there


async def ask(trial: Throwaway, text: str) -> str:
    before = await trial.simulator.sent(BOT.token, PERSON)
    await trial.simulator.say(BOT.token, PERSON, text)
    after = before[-1].message_id if before else 0
    return (await trial.simulator.wait_reply(BOT.token, PERSON, after=after, timeout=SECONDS)).text


async def now(trial: Throwaway) -> BotStatus:
    return next(bot for bot in (await trial.live.status()).bots if bot.bot == BOT.name)


def lines(trial: Throwaway, process: str) -> list[dict[str, object]]:
    paths = sorted(trial.state.log.glob(f"{process}-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


async def said(trial: Throwaway, process: str, code: str, times: int) -> None:
    async with asyncio.timeout(SECONDS):
        while sum(line.get("code") == code for line in lines(trial, process)) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # a log sets no event


def count(trial: Throwaway, process: str, code: str) -> int:
    return sum(line.get("code") == code for line in lines(trial, process))


async def test_nobody_notices(trial: Throwaway) -> None:
    await trial.simulator.set_style(first_byte_ms=30, gap_ms=5)
    before = await now(trial)
    # On the whole of a host the claim's own trial searches, with exchanges among what it does.
    near = replace(Host.here(), rest=())
    run = Handovers(trial, BOT, Plan(replacements=3, chats=3, rest=0.3, host=near))
    outcome = await run.run()
    await trial.simulator.set_style()
    assert outcome.handovers == 3
    assert outcome.messages >= 12
    assert (outcome.turns_lost, outcome.turns_doubled) == (0, 0)
    assert (outcome.messages_lost, outcome.messages_repeated) == (0, 0)
    assert outcome.leaked == 0
    after = await now(trial)
    assert (after.restarts, after.state) == (before.restarts + 3, BotState.LIVE)
    assert count(trial, "gateway", Code.READY) == 3
    assert count(trial, "node", Trouble.NOT_REPLACED) == 0
    for chat in range(3):
        for message in await trial.simulator.sent(BOT.token, FIRST_PERSON + chat):
            assert texts.of("en").forgotten.strip() not in message.text


async def test_a_command_is_not_obeyed_twice(trial: Throwaway) -> None:
    """Commands are no turns, so the gateway cannot know them: their place in the queue is handed over."""
    await ask(trial, "/privacy")
    before = len(await trial.simulator.sent(BOT.token, PERSON))
    await replaced(trial)
    assert "[1 message]" in await ask(trial, "hello")
    assert len(await trial.simulator.sent(BOT.token, PERSON)) == before + 1


async def replaced(trial: Throwaway) -> BotStatus:
    before = await now(trial)
    bots.restart(trial.state, BOT.name)
    return await trial.until(
        BOT.name, lambda bot: bot.generation > before.generation and bot.state is BotState.LIVE, seconds=SECONDS
    )


async def test_the_gateway_dies_while_one_life_waits_for_the_other(trial: Throwaway) -> None:
    assert "[3 messages]" in await ask(trial, "remember the gateway")
    before, ready = await now(trial), count(trial, "node", Happening.REPLACING)
    bots.restart(trial.state, BOT.name)
    await said(trial, "node", Happening.REPLACING, ready + 1)
    os.kill(trial.platform.supervisor.pid("gateway"), signal.SIGKILL)
    await trial.until(BOT.name, lambda bot: bot.generation > before.generation, seconds=SECONDS)
    assert "[5 messages]" in await ask(trial, "what was it?")


async def test_node_dies_while_one_life_waits_for_the_other(trial: Throwaway) -> None:
    before, ready = await now(trial), count(trial, "gateway", Code.READY)
    bots.restart(trial.state, BOT.name)
    await said(trial, "gateway", Code.READY, ready + 1)
    os.kill(trial.platform.supervisor.pid("node"), signal.SIGKILL)
    await trial.until(BOT.name, lambda bot: bot.generation > before.generation, seconds=SECONDS)
    assert "[7 messages]" in await ask(trial, "and now?")


async def test_the_first_life_is_killed_and_the_next_one_forgets_by_design(trial: Throwaway) -> None:
    before, replacing = await now(trial), count(trial, "node", Happening.REPLACING)
    bots.restart(trial.state, BOT.name)
    await said(trial, "node", Happening.REPLACING, replacing + 1)
    os.kill(before.pid, signal.SIGKILL)
    await trial.until(BOT.name, lambda bot: bot.generation > before.generation, seconds=SECONDS)
    assert "[1 message]" in await ask(trial, "hello again")
    assert await polls(trial) == 1


async def polls(trial: Throwaway) -> int:
    """How many are on Telegram's line for the bot, by the answers that a second one would bring about."""
    conflicts = [
        call.status
        for call in await trial.simulator.journal(Service.TELEGRAM, method="getUpdates")
        if call.status == 409
    ]
    return 1 + len(conflicts)
