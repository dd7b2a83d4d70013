"""A host full of bots: what each of them takes, how fast they start, and what a message costs among them.

The fleet grows in stages and every stage is measured: memory is what the whole host gave away since before the first
bot, everything counted, divided by the bots; beside it as many bare containers of the same image. At the last stage all
bots are written to in turn, so many messages a second in all.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.selfhost import bots
from clawmates.simulator.model import Service
from clawmates.trials import bare_fleet
from clawmates.trials.bench_messages import FIRST_BYTE_MS, GAP_MS, PERSON, RESPONSES, SECONDS, WORDS, percentile
from clawmates.trials.measure import MIB, available, pss
from clawmates.trials.throwaway import Bot
from clawmates.wire.desired import DesiredState
from clawmates.wire.names import ChannelKind
from clawmates.wire.node_client import NodeClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.trials.throwaway import Throwaway

STAGES = (20, 100, 300)
SETTLE_SECONDS = 60.0
POLL_SECONDS = 120.0
LIVE_SECONDS = 240.0
GONE_SECONDS = 300.0
LOADED_MESSAGES = 120
MESSAGES_PER_SECOND = 1.0
FIRST_MESSAGES_PER_SECOND = 4.0
WARM_SECONDS = 60.0
"""After so long a mate has closed the connections that it kept (:mod:`clawmates.mate.web`)."""
KIB = 1 << 10


def say(text: str) -> None:
    """Progress, beside the figures."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the platform's own processes."""

    gateway: int
    node: int

    @classmethod
    def of(cls, trial: Throwaway) -> Sizes:
        """As they are now."""
        supervisor = trial.platform.supervisor
        return cls(pss(supervisor.pid("gateway")), pss(supervisor.pid("node")))


async def figures(trial: Throwaway, stages: Sequence[int] = STAGES) -> dict[str, float]:
    """``idle_mib_per_bot_N``, ``floor_idle_mib_N``, ``bots_started_per_s_N`` and ``loaded_overhead_ms_*``.

    The platform of ``trial`` has no bots yet, and has none again afterwards.
    """
    found: dict[str, float] = {}
    before, lean = available(), Sizes.of(trial)
    crowd: list[Bot] = []
    for stage in stages:
        fresh = [Bot.invent(f"fleet-{number}", ChannelKind.TELEGRAM) for number in range(len(crowd), stage)]
        say(f"  {len(fresh)} more bots, {stage} in all")
        crowd += fresh
        found[f"bots_started_per_s_{stage}"] = len(fresh) / await _start(trial, fresh)
        say(f"  waiting for everybody's second poll, then {SETTLE_SECONDS:.0f} s")
        await _second_polls(trial, fresh)
        await asyncio.sleep(SETTLE_SECONDS)
        sizes = Sizes.of(trial)
        found[f"idle_mib_per_bot_{stage}"] = (before - available()) / stage / MIB
        found[f"gateway_kib_per_bot_{stage}"] = (sizes.gateway - lean.gateway) / stage / KIB
        found[f"node_kib_per_bot_{stage}"] = (sizes.node - lean.node) / stage / KIB
    found |= await _loaded(trial, crowd)
    await _end(trial)
    for stage in stages:
        say(f"  {stage} bare containers, for the floor")
        floor = await bare_fleet.figures(trial, stage)
        found[f"floor_idle_mib_{stage}"] = floor.idle_mib
        found[f"floor_started_per_s_{stage}"] = floor.started_per_s
        found[f"idle_ratio_{stage}"] = found[f"idle_mib_per_bot_{stage}"] / floor.idle_mib
    found["bots_started_per_s"] = found[f"bots_started_per_s_{stages[-1]}"]
    return found


async def _start(trial: Throwaway, fresh: list[Bot]) -> float:
    """Seconds from the rename of ``desired.json`` until the last of these bots polls its messenger."""
    await trial.add(fresh, paused=True)
    names = {bot.name for bot in fresh}
    begun = time.monotonic()
    trial.resume(names)
    first = [
        await trial.simulator.wait_call(Service.TELEGRAM, "getUpdates", caller=bot.username, timeout=LIVE_SECONDS)
        for bot in fresh
    ]
    return max(calls[0].received for calls in first) - begun


async def _second_polls(trial: Throwaway, fresh: list[Bot]) -> None:
    for bot in fresh:
        await trial.simulator.wait_call(
            Service.TELEGRAM, "getUpdates", caller=bot.username, count=2, timeout=POLL_SECONDS
        )


async def _loaded(trial: Throwaway, crowd: list[Bot]) -> dict[str, float]:
    """The steady state: every bot has answered before, and its connection to the provider has gone cold since.

    One message after the other begins at the given pace, each to another bot; answers overlap as they like.
    """
    say(f"  a first message to each of {len(crowd)} bots, {FIRST_MESSAGES_PER_SECOND:g} a second, which does not count")
    await trial.simulator.set_style(first_byte_ms=FIRST_BYTE_MS, gap_ms=GAP_MS, words=WORDS)
    await _paced(trial, crowd, FIRST_MESSAGES_PER_SECOND)
    await asyncio.sleep(WARM_SECONDS)
    say(f"  {LOADED_MESSAGES} messages, {MESSAGES_PER_SECOND:g} a second, each to another of {len(crowd)} bots")
    written_to = random.Random(1).sample(crowd, min(LOADED_MESSAGES, len(crowd)))  # noqa: S311 - chooses, guards nothing
    overheads = await _paced(trial, written_to, MESSAGES_PER_SECOND)
    await trial.simulator.set_style()
    return {
        "loaded_messages": float(len(overheads)),
        "loaded_overhead_ms_p50": percentile(overheads, 0.5),
        "loaded_overhead_ms_p95": percentile(overheads, 0.95),
    }


async def _paced(trial: Throwaway, written_to: list[Bot], per_second: float) -> list[float]:
    """A message to each of them; milliseconds that we added to each."""
    async with asyncio.TaskGroup() as group:
        tasks = []
        for bot in written_to:
            tasks.append(group.create_task(_overhead_ms(trial, bot)))
            await asyncio.sleep(1 / per_second)
    return [task.result() for task in tasks]


async def _overhead_ms(trial: Throwaway, bot: Bot) -> float:
    """What we added to one message, by the stand-ins' journals: as in :mod:`clawmates.trials.bench_messages`."""
    last = (await trial.simulator.status()).last_openai
    sent = await trial.simulator.sent(bot.token, PERSON)
    before = sent[-1].message_id if sent else 0
    update = await trial.simulator.say(bot.token, PERSON, "A message, please.")
    reply = await trial.simulator.wait_reply(bot.token, PERSON, after=before, timeout=SECONDS)
    polls = await trial.simulator.journal(Service.TELEGRAM, method="getUpdates", caller=bot.username)
    handed = min(call.answered for call in polls if update in call.updates)
    asked = await trial.simulator.journal(Service.OPENAI, method=RESPONSES, after=last)
    # Messages begin far enough apart: the first request behind the hand-over is this one's.
    request = min((call for call in asked if call.received >= handed), key=lambda call: call.received)
    return (request.received - handed + reply.received - request.answered) * 1000


async def _end(trial: Throwaway) -> None:
    bots.write(trial.state, DesiredState(revision=bots.read(trial.state).revision + 1))
    node = NodeClient(trial.live.run.node)
    async with asyncio.timeout(GONE_SECONDS):
        while True:
            if not (await node.status(brief=True)).bots:
                return
            await asyncio.sleep(0.2)
