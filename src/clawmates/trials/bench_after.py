"""What a bot takes once it has talked: host memory, everything counted, after thirty messages to each of twenty."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.trials.bench_messages import FIRST_BYTE_MS, GAP_MS, PAUSE_SECONDS, PERSON, SECONDS, WORDS
from clawmates.trials.measure import MIB, available
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.trials.throwaway import Throwaway

BOTS = 20
MESSAGES = 30
SETTLE_SECONDS = 60.0
"""As for bots that nobody has talked to: by then they have closed what they kept open."""


async def figures(trial: Throwaway) -> dict[str, float]:
    """``after30_mib``; the platform of ``trial`` has no bots yet."""
    before = available()
    crowd = [Bot.invent(f"after-{number}", ChannelKind.TELEGRAM) for number in range(BOTS)]
    await trial.add(crowd)
    await trial.until_live(*(bot.name for bot in crowd))
    await trial.simulator.set_style(first_byte_ms=FIRST_BYTE_MS, gap_ms=GAP_MS, words=WORDS)
    async with asyncio.TaskGroup() as group:
        for bot in crowd:
            group.create_task(_talk(trial, bot))
    await trial.simulator.set_style()
    await asyncio.sleep(SETTLE_SECONDS)
    return {"after30_mib": (before - available()) / BOTS / MIB}


async def _talk(trial: Throwaway, bot: Bot) -> None:
    last = 0
    for number in range(MESSAGES):
        await trial.simulator.say(bot.token, PERSON, f"Message {number}, please.")
        last = (await trial.simulator.wait_reply(bot.token, PERSON, after=last, timeout=SECONDS)).message_id
        await asyncio.sleep(PAUSE_SECONDS)
