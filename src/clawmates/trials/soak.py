"""``make soak``: a thousand messages while mate and gateway are killed at random instants; nothing may be lost.

``lost`` counts messages that got no reply of any kind; ``apologised`` those that got a sentence of regret instead of an
answer; ``repeated`` those answered more than once, of which there may be no more than ``unsettled``: replies that were
between their sending and their ``turn end`` at a kill; ``leaked`` counts the places in which any of it was found
afterwards. It ends: the messages after ``--seconds``, about, and the wait for the last replies after two minutes more.
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.errors import ProofError
from clawmates.proofs.look import look
from clawmates.proofs.places import Kind
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import Host, searched
from clawmates.trials.running import run as run_trial
from clawmates.trials.soak_count import Kills, Outcome, Sent, outcome, unsettled
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_PERSON = 10_000
ANSWER_SECONDS = 120.0
"""For the last replies; by then every message is answered or given up (the relay gives a turn as long)."""
WAIT_SECONDS = 2.0
PROGRESS_SECONDS = 30.0
ALIVE_SECONDS = 120.0
LOOK_SECONDS = 0.05


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
    kills: dict[str, list[float]] = field(default_factory=lambda: {"mate": [], "gateway": []})

    async def run(self) -> dict[str, float]:
        """Talks and kills at once, then counts."""
        progress = asyncio.create_task(self._progress())
        try:
            async with asyncio.TaskGroup() as group:
                for chat in range(self.plan.chats):
                    group.create_task(self._talk(FIRST_PERSON + chat))
                group.create_task(self._kill("mate", self.plan.mate_kills, self._mate))
                group.create_task(self._kill("gateway", self.plan.gateway_kills, self._gateway))
        finally:
            progress.cancel()
        came, open_at_kills = await self._count()
        return {
            "messages": float(sum(len(texts) for texts in self.said.values())),
            "lost": float(came.lost),
            "apologised": float(came.apologised),
            "repeated": float(came.repeated),
            "unsettled": float(open_at_kills),
            "mate_kills": float(len(self.kills["mate"])),
            "gateway_kills": float(len(self.kills["gateway"])),
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
        """At random instants while messages come; one that is dead already is found alive a little later."""
        moments = sorted(self.dice.uniform(0, self.plan.seconds) for _ in range(times))
        begun = time.monotonic()
        for moment in moments:
            await asyncio.sleep(max(0.0, begun + moment - time.monotonic()))
            async with asyncio.timeout(ALIVE_SECONDS):
                while not _killed(await pid_of()):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
            self.kills[what].append(time.monotonic())

    async def _mate(self) -> int:
        with suppress(ProofError):
            for bot in (await self.trial.live.status()).bots:
                if bot.bot == self.bot.name:
                    return bot.pid
        return 0

    async def _gateway(self) -> int:
        return self.trial.platform.supervisor.pid("gateway")

    async def _count(self) -> tuple[Outcome, int]:
        """What became of the messages, and how many replies were unsettled at a kill."""
        sent = await self._replies()
        kills = Kills(tuple(self.kills["mate"]), tuple(self.kills["gateway"]))
        every = [one for replies in sent.values() for one in replies]
        of_each = [outcome(texts, sent[person]) for person, texts in self.said.items()]
        return sum(of_each, Outcome()), unsettled(every, kills)

    async def _replies(self) -> dict[int, list[Sent]]:
        """All that was sent, once every message has its reply or has waited long enough."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            found = {person: await self._sent(person) for person in self.said}
            open_now = sum(outcome(texts, found[person]).lost for person, texts in self.said.items())
            if not open_now or time.monotonic() > deadline:
                return found
            say(f"  waiting for {open_now} more replies")
            await asyncio.sleep(WAIT_SECONDS)

    async def _sent(self, person: int) -> list[Sent]:
        return [
            Sent(message.text, message.received) for message in await self.trial.simulator.sent(self.bot.token, person)
        ]

    async def _progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            said = sum(len(texts) for texts in self.said.values())
            dead = ", ".join(f"{what} killed {len(when)} times" for what, when in self.kills.items())
            say(f"  {said} of {self.plan.messages} messages said; {dead}")

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


def _killed(pid: int) -> bool:
    """Whether there was something to kill."""
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


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
    """Exit 0 when nothing was lost, nothing leaked, and nothing repeated that somebody could have known of."""
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
    return int(bool(found["lost"] or found["leaked"] or found["repeated"] > found["unsettled"]))


if __name__ == "__main__":
    sys.exit(main())
