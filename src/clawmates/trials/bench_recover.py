"""How long a host is away whose processes have all been killed, and nobody helps it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ProofError
from clawmates.selfhost.accounts import SERVICES
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.trials.throwaway import Throwaway

BOTS = 10
TIMES = 5
SECONDS = 120.0
LOOK_SECONDS = 0.1
"""Node takes some ten milliseconds for an answer, which what is waited for could use."""
IMPORTS = "import asyncio, clawmates.{}.__main__"


async def figures(trial: Throwaway) -> dict[str, float]:
    """``recover_s`` is the longest of :data:`TIMES`; ``floor_recover_s`` is what the interpreters alone take.

    The floor: as many Pythons at once as there are services, each of which imports what one of them imports and ends.
    """
    crowd = [Bot.invent(f"recover-{number}", ChannelKind.TELEGRAM) for number in range(BOTS)]
    await trial.add(crowd)
    names = [bot.name for bot in crowd]
    await trial.until_live(*names)
    taken, floor = [], []
    for _time in range(TIMES):
        taken.append(await _once(trial, names))
        floor.append(await _interpreters())
    return {"recover_s": max(taken), "recover_bots": float(BOTS), "floor_recover_s": max(floor)}


async def _once(trial: Throwaway, names: list[str]) -> float:
    """From the last kill until every service is ready and every bot says again that it lives."""
    supervisor = trial.platform.supervisor
    mates = {bot.bot: bot.pid for bot in (await trial.live.status()).bots}
    services = {name: supervisor.pid(name) for name in SERVICES}
    for process in (*services.values(), *mates.values()):
        os.kill(process, signal.SIGKILL)
    begun = time.monotonic()
    async with asyncio.timeout(SECONDS):
        while not await _is_back(trial, names, services, mates):  # noqa: ASYNC110 - other processes change
            await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - begun


async def _is_back(trial: Throwaway, names: list[str], services: dict[str, int], mates: dict[str, int]) -> bool:
    running = trial.platform.supervisor.running
    if any(running[name].pid in {0, old} or not running[name].ready.is_set() for name, old in services.items()):
        return False
    with suppress(ProofError):
        now = {bot.bot: bot for bot in (await trial.live.status()).bots}
        return all(
            name in now and now[name].state is BotState.LIVE and now[name].pid not in {0, mates[name]} for name in names
        )
    return False


async def _interpreters() -> float:
    begun = time.monotonic()
    programs = [
        await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", IMPORTS.format(name)) for name in SERVICES
    ]
    for program in programs:
        await program.wait()
    return time.monotonic() - begun
