"""Planned replacements of a bot's container while people talk to it: nobody may notice anything.

What the provider is sent shows what the bot remembers: with every question it must get all earlier ones of that chat,
and each once. ``lost`` turns are those that a later question came without; messages are lost when nobody answered them,
and repeated when they were answered twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.look import look
from clawmates.proofs.places import Kind
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import Host, searched
from clawmates.selfhost import bots
from clawmates.simulator.model import Service
from clawmates.trials.throwaway import Bot, Throwaway
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_PERSON = 20_000
ANSWER_SECONDS = 120.0
REPLACED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many replacements, and how many chats go on meanwhile."""

    replacements: int = 20
    chats: int = 3
    rest: float = 1.8
    """Seconds between an answer and that chat's next question: the gateway lets 60 turns a minute through."""
    host: Host = field(default_factory=Host.here)
    """The machine's own folders that are searched afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run."""

    handovers: int
    messages: int
    turns_lost: int
    turns_doubled: int
    """Turns that a question came with twice."""
    messages_lost: int
    messages_repeated: int
    seconds: tuple[float, ...]
    """From the wish to the next container's first sign of life, each."""
    leaked: int
    """Places in which anything that was said was found on a disk afterwards, or in the memory of others."""

    @property
    def flat(self) -> dict[str, float]:
        """For ``make bench``."""
        return {
            "handovers": float(self.handovers),
            "handover_messages": float(self.messages),
            "handover_turns_lost": float(self.turns_lost),
            "handover_turns_doubled": float(self.turns_doubled),
            "handover_messages_lost": float(self.messages_lost),
            "handover_messages_repeated": float(self.messages_repeated),
            "handover_leaked": float(self.leaked),
            "handover_s_max": max(self.seconds, default=0.0),
        }


@dataclass(slots=True)
class Handovers:
    """One run with one bot that is live."""

    trial: Throwaway
    bot: Bot
    plan: Plan = field(default_factory=Plan)
    canary: Canary = field(default_factory=lambda: mint(os.urandom))
    since: float = field(default_factory=time.time)
    said: dict[int, list[str]] = field(default_factory=dict)
    _over: bool = False

    async def run(self) -> Outcome:
        """Talks and replaces at once, then counts. Raises ``TrialError`` and ``NothingCameError``."""
        before = (await self.trial.simulator.status()).last_openai
        async with asyncio.TaskGroup() as group:
            for chat in range(self.plan.chats):
                group.create_task(self._talk(FIRST_PERSON + chat))
            seconds = await self._replace()
            self._over = True
        calls = await self.trial.simulator.journal(Service.OPENAI, after=before)
        asked = [str(call.parameters.get("input", "")) for call in calls]
        lost, doubled = remembered(self.said, asked)
        unanswered, repeated = await self._answers()
        return Outcome(
            handovers=len(seconds),
            messages=sum(len(texts) for texts in self.said.values()),
            turns_lost=lost,
            turns_doubled=doubled,
            messages_lost=unanswered,
            messages_repeated=repeated,
            seconds=seconds,
            leaked=await self._leaks(),
        )

    async def _replace(self) -> tuple[float, ...]:
        taken = []
        for _number in range(self.plan.replacements):
            (before,) = await self.trial.until_live(self.bot.name)
            heard = sum(len(texts) for texts in self.said.values())
            begun = time.monotonic()
            bots.restart(self.trial.state, self.bot.name)
            await self.trial.until(
                self.bot.name,
                lambda now, last=before.generation: now.generation > last and now.state is BotState.LIVE,  # type: ignore[misc]
                seconds=REPLACED_SECONDS,
            )
            taken.append(time.monotonic() - begun)
            # Somebody is heard by this life too, or it would have nothing of its own to hand over.
            async with asyncio.timeout(ANSWER_SECONDS):
                while sum(len(texts) for texts in self.said.values()) < heard + self.plan.chats:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # the chats set no event
        return tuple(taken)

    async def _talk(self, person: int) -> None:
        """One question after the other, each as soon as the last is answered."""
        texts, last = self.said.setdefault(person, []), 0
        while not self._over or len(texts) < 2:
            text = f"{self.canary.stem} {person} message {len(texts)} end"
            texts.append(text)
            await self.trial.simulator.say(self.bot.token, person, text)
            reply = await self.trial.simulator.wait_reply(self.bot.token, person, after=last, timeout=ANSWER_SECONDS)
            last = reply.message_id
            await asyncio.sleep(self.plan.rest)

    async def _answers(self) -> tuple[int, int]:
        """(unanswered, answered more than once)."""
        unanswered = repeated = 0
        for person, texts in self.said.items():
            replies = [message.text for message in await self.trial.simulator.sent(self.bot.token, person)]
            counts = [sum(text in reply for reply in replies) for text in texts]
            unanswered += sum(count == 0 for count in counts)
            repeated += sum(max(0, count - 1) for count in counts) + max(0, len(replies) - sum(counts))
        return unanswered, repeated

    async def _leaks(self) -> int:
        await asyncio.to_thread(os.sync)
        live = self.trial.live
        where = searched(live.state, live.run, processes=await live.processes(), mates={}, host=self.plan.host)
        findings = await look(
            where.places,
            Patterns.of(self.canary),
            clock=SystemClock(),
            since=self.since,
            progress=lambda _what, _much: None,
        )
        return sum(hit.kind is not Kind.CONTAINER for hit in findings.hits)


def remembered(said: Mapping[int, list[str]], asked: list[str]) -> tuple[int, int]:
    """(turns that a later question came without, turns that came twice), of all chats.

    A question is asked again where its turn was cut off; what counts is each time it is asked.
    """
    lost: set[str] = set()
    doubled: set[str] = set()
    for texts in said.values():
        for number, text in enumerate(texts):
            for prompt in asked:
                if prompt.count(text) and not any(later in prompt for later in texts[number + 1 :]):
                    counts = Counter({earlier: prompt.count(earlier) for earlier in texts[:number]})
                    lost |= {earlier for earlier in texts[:number] if not counts[earlier]}
                    # Once as it was asked, once in the answer that repeats it.
                    doubled |= {earlier for earlier in texts[:number] if counts[earlier] > 2}
    return len(lost), len(doubled)


async def figures(trial: Throwaway) -> dict[str, float]:
    """Twenty replacements, for ``make bench``."""
    bot = Bot.invent("handed", ChannelKind.TELEGRAM)
    await trial.add([bot])
    await trial.until_live(bot.name)
    # About every second moment somebody waits for an answer.
    await trial.simulator.set_style(first_byte_ms=400, gap_ms=60, words=15)
    try:
        return (await Handovers(trial, bot).run()).flat
    finally:
        await trial.simulator.set_style()
