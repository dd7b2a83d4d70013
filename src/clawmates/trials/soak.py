"""``make soak``: a thousand messages while mate and gateway are killed at random instants; nothing may be lost.

``lost`` counts messages that got no reply of any kind; ``apologised`` those that got a sentence of regret instead of an
answer; ``repeated`` those answered more than once, which may happen only where a kill fell between the sending of a
reply and its ``turn end``; ``leaked`` counts the places in which any of it was found afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.look import look
from clawmates.proofs.places import Kind
from clawmates.proofs.platform import ProofError
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import Host, searched
from clawmates.simulator.client import SimulatorError
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_PERSON = 10_000
ANSWER_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard the weather is; ``seconds`` is how long the messages are spread over."""

    messages: int = 1000
    chats: int = 20
    mate_kills: int = 50
    gateway_kills: int = 10
    seconds: float = 600.0
    seed: int = 1


@dataclass(slots=True)
class Soak:
    """One run."""

    trial: Throwaway
    bot: Bot
    plan: Plan
    canary: Canary
    dice: random.Random
    since: float = field(default_factory=time.time)
    said: dict[int, list[str]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    async def run(self) -> dict[str, float]:
        """Talks and kills at once, then counts."""
        async with asyncio.TaskGroup() as group:
            for chat in range(self.plan.chats):
                group.create_task(self._talk(FIRST_PERSON + chat))
            group.create_task(self._kill("mate", self.plan.mate_kills, self._mate))
            group.create_task(self._kill("gateway", self.plan.gateway_kills, self._gateway))
        lost, apologised, repeated = await self._count()
        return {
            "messages": float(self.plan.messages),
            "lost": float(lost),
            "apologised": float(apologised),
            "repeated": float(repeated),
            "mate_kills": float(self.kills["mate"]),
            "gateway_kills": float(self.kills["gateway"]),
            "leaked": float(await self._leaks()),
        }

    async def _talk(self, person: int) -> None:
        each = self.plan.messages // self.plan.chats
        pause = self.plan.seconds / each
        await asyncio.sleep(self.dice.uniform(0, pause))
        for number in range(each):
            text = f"{self.canary.stem} {person} message {number} end"
            self.said.setdefault(person, []).append(text)
            await self.trial.simulator.say(self.bot.token, person, text)
            await asyncio.sleep(pause * self.dice.uniform(0.5, 1.5))

    async def _kill(self, what: str, times: int, pid_of: Callable[[], Awaitable[int]]) -> None:
        while self.kills[what] < times:
            await asyncio.sleep(self.plan.seconds / times * self.dice.uniform(0.2, 1.8))
            pid = await pid_of()
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.kills[what] += 1
                    say(f"  killed {what} ({self.kills[what]} of {times})")

    async def _mate(self) -> int:
        with suppress(ProofError):
            for bot in (await self.trial.live.status()).bots:
                if bot.bot == self.bot.name:
                    return bot.pid
        return 0

    async def _gateway(self) -> int:
        return self.trial.platform.supervisor.pid("gateway")

    async def _count(self) -> tuple[int, int, int]:
        """(lost, apologised, repeated), once every chat has as many replies as messages or has waited long enough."""
        lost = apologised = repeated = 0
        for person, texts in self.said.items():
            replies = await self._replies(person, len(texts))
            counts = [sum(text in reply for reply in replies) for text in texts]
            others = sum(not any(text in reply for text in texts) for reply in replies)
            unanswered = sum(count == 0 for count in counts)
            apologised += min(others, unanswered)
            lost += max(0, unanswered - others)
            repeated += sum(max(0, count - 1) for count in counts) + max(0, others - unanswered)
        return lost, apologised, repeated

    async def _replies(self, person: int, wanted: int) -> list[str]:
        with suppress(TimeoutError, SimulatorError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(sent := await self.trial.simulator.sent(self.bot.token, person)) < wanted:
                    last = sent[-1].message_id if sent else 0
                    await self.trial.simulator.wait_reply(self.bot.token, person, after=last, timeout=ANSWER_SECONDS)
        return [message.text for message in await self.trial.simulator.sent(self.bot.token, person)]

    async def _leaks(self) -> int:
        await asyncio.to_thread(os.sync)
        live = self.trial.live
        where = searched(live.state, live.run, processes=await live.processes(), mates={}, host=Host.here())
        findings = await look(
            where.places,
            Patterns.of(self.canary),
            clock=SystemClock(),
            since=self.since,
            progress=lambda _what, _much: None,
        )
        for hit in findings.hits:
            say(f"  leaked: {hit.kind}: {hit.place} as {hit.encoding}")
        return sum(hit.kind is not Kind.CONTAINER for hit in findings.hits)


def say(text: str) -> None:
    """Progress, beside the figures."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


async def soak(plan: Plan) -> dict[str, float]:
    """A platform on a disk of its own, one bot, many chats."""
    limits = {"gateway": {"limits": {"turns_per_minute": 6000}}}
    async with throwaway(disk=True, settings=limits) as trial:
        bot = Bot.invent("soak", ChannelKind.TELEGRAM)
        await trial.add([bot])
        await trial.until_live("soak")
        await trial.simulator.set_style(first_byte_ms=200, gap_ms=10)
        return await Soak(trial, bot, plan, mint(), random.Random(plan.seed)).run()  # noqa: S311 - chooses moments, guards nothing


def main() -> int:
    """Exit 0 when nothing was lost and nothing leaked."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--mate-kills", type=int, default=50)
    parser.add_argument("--gateway-kills", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    plan = Plan(
        messages=wanted.messages,
        mate_kills=wanted.mate_kills,
        gateway_kills=wanted.gateway_kills,
        seconds=wanted.seconds,
        seed=wanted.seed,
    )
    return run_trial(_weather(plan, wanted.json))


async def _weather(plan: Plan, path: Path | None) -> int:
    figures = json.dumps(found := await soak(plan), indent=2, sort_keys=True) + "\n"
    sys.stdout.write(figures)
    if path is not None:
        path.write_text(figures)  # noqa: ASYNC240 - at the very end
    return int(bool(found["lost"] or found["leaked"]))


if __name__ == "__main__":
    sys.exit(main())
