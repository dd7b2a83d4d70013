"""What a message costs on its way through us, beside a bare script against the same stand-ins in the same run.

Overhead of a message = t1 + t2. t1: the update is handed to the long poll → the provider's request arrives. t2: the
provider's final bytes are written → the first Telegram call that holds the whole answer arrives. Times are the
stand-ins' own, so neither side measures itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from clawmates.simulator.model import Service
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.trials.throwaway import Throwaway

MESSAGES = 60
FIRSTS = 5
"""Bots whose first message is timed, one start after the other."""
WORDS = 30
GAP_MS = 10.0
FIRST_BYTE_MS = 200.0
PAUSE_SECONDS = 1.2
PERSON = 4711
SECONDS = 30.0
RESPONSES = "POST /v1/responses"


@dataclass(frozen=True, slots=True)
class Timing:
    """One message, in seconds."""

    t1: float
    t2: float
    first_token: float
    """Provider's first byte → the first draft arrives; 0 where there was none."""

    @property
    def overhead(self) -> float:
        """What we added to the provider's own time."""
        return self.t1 + self.t2


@dataclass(frozen=True, slots=True)
class Run:
    """All messages of one bot, and the CPU seconds of its processes meanwhile."""

    timings: tuple[Timing, ...]
    cpu: float

    def overhead_ms(self, share: float) -> float:
        """A percentile of the overhead, milliseconds."""
        return percentile([timing.overhead for timing in self.timings], share) * 1000


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of them lie (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def cpu_seconds(*pids: int) -> float:
    """User and system time of processes (proc_pid_stat(5))."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def figures(trial: Throwaway) -> dict[str, float]:
    """``overhead_*``, ``cpu_ratio``, ``first_*``; the platform of ``trial`` needs no bots."""
    await trial.simulator.set_style(first_byte_ms=FIRST_BYTE_MS, gap_ms=GAP_MS, words=WORDS)
    firsts = [(await one(trial, (await started(trial, f"first-{number}"))[0], 0)) for number in range(FIRSTS - 1)]
    bot, pid = await started(trial, "paced")
    ours = await run(trial, bot, pid, trial.platform.supervisor.pid("gateway"))
    firsts.append(ours.timings[0])
    bare_bot = Bot.invent("bare", ChannelKind.TELEGRAM)
    await trial.simulator.add_bot(bare_bot.token, bare_bot.username)
    await trial.simulator.add_key(bare_bot.key)
    process = await start_bare(trial, bare_bot)
    try:
        bare = await run(trial, bare_bot, process.pid)
    finally:
        process.kill()
        await process.wait()
        await trial.simulator.set_style()
    return {
        "overhead_ms_p50": ours.overhead_ms(0.5),
        "overhead_ms_p95": ours.overhead_ms(0.95),
        "overhead_ratio_p50": ours.overhead_ms(0.5) / bare.overhead_ms(0.5),
        "floor_overhead_ms_p50": bare.overhead_ms(0.5),
        "floor_overhead_ms_p95": bare.overhead_ms(0.95),
        "cpu_ms_per_message": ours.cpu / MESSAGES * 1000,
        "floor_cpu_ms_per_message": bare.cpu / MESSAGES * 1000,
        "cpu_ratio": ours.cpu / bare.cpu,
        "first_message_ms": median(timing.overhead for timing in firsts) * 1000,
        "first_token_ms_p50": median(timing.first_token for timing in ours.timings) * 1000,
        "first_token_ms_p95": percentile([timing.first_token for timing in ours.timings], 0.95) * 1000,
    }


async def started(trial: Throwaway, name: str) -> tuple[Bot, int]:
    """A bot that has just come to life, and its process."""
    bot = Bot.invent(name, ChannelKind.TELEGRAM)
    await trial.add([bot])
    return bot, (await trial.until(name, lambda now: now.pid > 0 and now.username != "")).pid


async def start_bare(trial: Throwaway, bot: Bot) -> asyncio.subprocess.Process:
    """The bare script, its credentials by a pipe."""
    ports = json.loads((trial.root / "simulator" / "ports.json").read_bytes())
    given = {
        "token": bot.token,
        "key": bot.key,
        "model": trial.model,
        "ca": str(trial.root / "simulator" / "ca.pem"),
        "ports": {service.host: ports[service.value] for service in (Service.TELEGRAM, Service.OPENAI)},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "clawmates.trials.bare", stdin=asyncio.subprocess.PIPE
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
    await trial.simulator.wait_call(Service.TELEGRAM, "getUpdates", caller=bot.username, timeout=SECONDS)
    return process


async def run(trial: Throwaway, bot: Bot, *pids: int) -> Run:
    """Sends the messages one after the other, a pause after each."""
    before = cpu_seconds(*pids)
    timings = []
    for number in range(MESSAGES):
        timings.append(await one(trial, bot, number))
        await asyncio.sleep(PAUSE_SECONDS)
    return Run(tuple(timings), cpu_seconds(*pids) - before)


async def one(trial: Throwaway, bot: Bot, number: int) -> Timing:
    """One message and its timing, read from the journals."""
    sent = await trial.simulator.sent(bot.token, PERSON)
    now = await trial.simulator.status()
    update = await trial.simulator.say(bot.token, PERSON, f"Message {number}, please.")
    reply = await trial.simulator.wait_reply(
        bot.token, PERSON, after=sent[-1].message_id if sent else 0, timeout=SECONDS
    )
    (request, *_more) = await trial.simulator.wait_call(
        Service.OPENAI, RESPONSES, after=now.last_openai, finished=True, timeout=SECONDS
    )
    calls = await trial.simulator.journal(Service.TELEGRAM, after=max(0, now.last_telegram - 5), caller=bot.username)
    handed = min(call.answered for call in calls if update in call.updates)
    drafts = [call.received for call in calls if call.method == "sendMessageDraft" and call.received > request.received]
    return Timing(
        t1=request.received - handed,
        t2=reply.received - request.answered,
        first_token=min(drafts) - request.first_byte if drafts else 0.0,
    )
