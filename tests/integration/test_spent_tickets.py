"""A ticket lies in the boot folder until it is redeemed and no longer; a changed credential still arrives."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clawmates.base.shape import decode_json
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.boot import BOOT_FILE, Boot
from clawmates.wire.codes import Code
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.wire.status import BotStatus

pytestmark = pytest.mark.timeout(300)

NAME = "spent"


def opened(trial: Throwaway) -> list[int]:
    """The marks of the tickets that the mate said it had opened, in order."""
    lines = [line for path in trial.state.log.glob("gateway-*") for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    return [event["number"] for event in events if event["code"] == Code.OPENED]


async def until_opened(trial: Throwaway, times: int) -> None:
    """Until the mate has opened so many tickets, and node has taken the last one away."""
    async with asyncio.timeout(60):
        while len(opened(trial)) < times or in_the_folder(trial):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # files set no event


def in_the_folder(trial: Throwaway) -> bool:
    """Whether a ticket lies in a boot folder of the bot's."""
    files = (trial.live.run.boot / NAME).glob(f"*/{BOOT_FILE}")
    return any(decode_json(Boot, file.read_bytes()).ticket is not None for file in files)


async def test_spent_tickets_are_taken_away_and_new_ones_arrive() -> None:
    bot = Bot.invent(NAME, ChannelKind.TERMINAL)
    async with throwaway() as trial:
        await trial.add([bot])
        (first,) = await trial.until_live(NAME)
        await until_opened(trial, 1)

        await trial.add([replace(bot, key=f"sk-{secrets.token_hex(24)}")])
        await until_opened(trial, 2)
        (second,) = await trial.until_live(NAME)
        assert second.pid == first.pid, "the same life of the mate, with the new credential"
        assert await trial.live.chat(NAME, "hello")

        await trial.live.kill_mate(NAME)
        await until_opened(trial, 3)
        third: BotStatus = await trial.until(NAME, lambda now: now.pid not in {0, first.pid})
        assert third.generation > first.generation
        assert await trial.live.chat(NAME, "hello again")
        assert len(set(opened(trial))) == 3
