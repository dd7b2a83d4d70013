"""How awake a mate is while it answers: a message in another chat is seen, and a press of Stop closes the call.

Times are the stand-ins' own. A message is seen when the poll that carries it has been answered; a press is received
then too, and the call is closed when the stand-in for the provider finds its connection gone.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from clawmates.simulator.model import Service
from clawmates.trials.bench_messages import RESPONSES
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.trials.throwaway import Throwaway

TALKER, OTHER = 1001, 1002
MESSAGES = 20
PRESSES = 10
SECONDS = 30.0
LONG_ANSWER_WORDS = 2000
GAP_MS = 20.0
PAUSE_SECONDS = (1.2, 2.4)


async def figures(trial: Throwaway) -> dict[str, float]:
    """``seen_ms_*`` and ``stop_ms_*``; the platform of ``trial`` needs no bots."""
    bot = Bot.invent("alert", ChannelKind.TELEGRAM)
    await trial.add([bot])
    await trial.until_live(bot.name)
    await trial.simulator.set_style(first_byte_ms=50, gap_ms=GAP_MS, words=LONG_ANSWER_WORDS)
    moments = random.Random(1)  # noqa: S311 - chooses moments, guards nothing
    seen = await _seen(trial, bot, moments)
    stopped = [await _stopped(trial, bot, moments) for _press in range(PRESSES)]
    await trial.simulator.set_style()
    return {
        "seen_ms_p50": sorted(seen)[len(seen) // 2],
        "seen_ms_max": max(seen),
        "stop_ms_p50": sorted(stopped)[len(stopped) // 2],
        "stop_ms_max": max(stopped),
    }


async def _seen(trial: Throwaway, bot: Bot, moments: random.Random) -> list[float]:
    """Milliseconds until each of some messages, said while another chat's answer is being written, was handed over."""
    taken: list[float] = []
    while len(taken) < MESSAGES:
        await _begin(trial, bot)
        for _message in range(MESSAGES // 2):
            await asyncio.sleep(moments.uniform(*PAUSE_SECONDS))
            said = time.monotonic()
            update = await trial.simulator.say(bot.token, OTHER, "/help")
            taken.append((await _handed(trial, bot, update) - said) * 1000)
        await _stop(trial, bot)
    return taken


async def _stopped(trial: Throwaway, bot: Bot, moments: random.Random) -> float:
    """Milliseconds from the receipt of a press to the end of the call to the provider."""
    last = (await trial.simulator.status()).last_openai
    await _begin(trial, bot)
    await asyncio.sleep(moments.uniform(*PAUSE_SECONDS))
    received = await _stop(trial, bot)
    (call,) = await trial.simulator.wait_call(Service.OPENAI, RESPONSES, after=last, finished=True, timeout=SECONDS)
    return (call.answered - received) * 1000


async def _begin(trial: Throwaway, bot: Bot) -> None:
    """An answer that takes longer than anybody wants, begun: its draft is on the screen."""
    last = (await trial.simulator.status()).last_telegram
    await trial.simulator.say(bot.token, TALKER, "Tell me everything.")
    await trial.simulator.wait_call(
        Service.TELEGRAM, "sendMessageDraft", after=last, caller=bot.username, finished=True, timeout=SECONDS
    )


async def _stop(trial: Throwaway, bot: Bot) -> float:
    """Presses Stop and waits for what there is of the answer; when the press was received."""
    sent = await trial.simulator.sent(bot.token, TALKER)
    update = await trial.simulator.press_stop(bot.token, TALKER)
    await trial.simulator.wait_reply(bot.token, TALKER, after=sent[-1].message_id if sent else 0, timeout=SECONDS)
    return await _handed(trial, bot, update)


async def _handed(trial: Throwaway, bot: Bot, update: int) -> float:
    """When the poll that carries an update was answered."""
    async with asyncio.timeout(SECONDS):
        while True:
            polls = await trial.simulator.journal(Service.TELEGRAM, method="getUpdates", caller=bot.username)
            for call in polls:
                if update in call.updates and call.answered:
                    return call.answered
            await asyncio.sleep(0.05)
