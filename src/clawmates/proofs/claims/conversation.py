"""Canary messages through running bots, with the accidents of real life on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from clawmates.proofs.canary import Canary
from clawmates.proofs.claims.schedule import Planned, Round, Say, Talker, Victim, schedule
from clawmates.proofs.errors import ChatError, NoBotError, ProofError
from clawmates.proofs.platform import Platform
from clawmates.proofs.trial import Bench, Options
from clawmates.proofs.writes import Baseline, WritesUnreadableError
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from clawmates.wire.status import BotStatus

_RUNNING = {BotState.LIVE, BotState.DEGRADED}
LOOK_SECONDS = 0.01
"""Between two looks at what a mate has written that is about to end."""
GONE_SECONDS = 2.0
CHATTER_SECONDS = 1.0
"""Between two things that are said in a messenger while all bots are exchanged."""
ASIDE = 50_000
"""The number of the first of them."""
MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was done to the bots."""

    talkers: tuple[Talker, ...]
    messages: int
    replies: int
    echoes: int
    """Replies that repeat the canary, as stand-ins do: it has been to the model and back."""
    edits: int
    drafts: int
    troubles: Mapping[str, int]
    """Error path → how often it was set; ``met`` of them were met."""
    met: int
    kills: Mapping[Victim, int]
    replaced: int
    released: int
    """How often all bots were exchanged for those of a newer image."""
    written: Mapping[str, int]
    """Bot → bytes that its mates wrote to disk between their own start and the end, or their death."""

    @property
    def ways(self) -> tuple[str, ...]:
        """``telegram to openai``, each way once."""
        return tuple(dict.fromkeys(f"{one.channel} to {one.provider}" for one in self.talkers))


async def converse(platform: Platform, canary: Canary, options: Options, bench: Bench) -> Conversation:
    """Speaks to every bot that can be spoken to. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    talkers = await _talkers(platform)
    talk = _Talk(platform, canary, options, bench)
    for talker in talkers:
        await talk.begin(talker.bot)
    releases = options.releases if platform.renewable else 0
    began = bench.clock.monotonic()
    for number, one in enumerate(schedule(talkers, messages=options.messages, kills=options.kills, releases=releases)):
        # Turned away by the gateway, a canary would never reach the provider.
        await asyncio.sleep(max(0.0, began + earliest(number, platform) - bench.clock.monotonic()))
        await talk.round(one)
    edits = await talk.edit(talkers)
    for talker in talkers:
        talk.end(talker.bot)
    there = platform.stand_ins
    if there and (mute := [one.bot for one in talkers if not talk.echoes[one.bot]]):
        raise ProofError(f"no reply of {', '.join(mute)} came from the model: what it never saw proves nothing")
    return Conversation(
        talkers=talkers,
        messages=talk.messages,
        replies=talk.replies,
        echoes=talk.echoes.total(),
        edits=edits,
        drafts=await there.drafts() if there else 0,
        troubles=dict(talk.troubles),
        met=talk.met,
        kills=dict(talk.kills),
        replaced=talk.replaced,
        released=talk.released,
        written=dict(talk.written),
    )


def earliest(number: int, platform: Platform) -> float:
    """Seconds from the first round to that one: a bot answers so many at once, and then so many a minute."""
    limit = platform.settings.gateway.limits.turns_per_minute
    return max(0, number + 1 - limit) * MINUTE / limit


async def _talkers(platform: Platform) -> tuple[Talker, ...]:
    there = platform.stand_ins
    status = await platform.status()
    found = tuple(
        Talker(
            bot=one.bot,
            channel=one.channel,
            provider=one.provider,
            troubles=there.troubles.get(one.bot, ()) if there else (),
        )
        for one in status.bots
        if one.state in _RUNNING and one.pid and (one.channel == ChannelKind.TERMINAL or there is not None)
    )
    if not any(one.channel == ChannelKind.TERMINAL for one in found):
        raise NoBotError(
            "no bot with the terminal channel is live: add one, or see `clawmates status` for why it is not"
        )
    return found


@dataclass(slots=True)
class _Talk:
    """The books of one trial."""

    platform: Platform
    canary: Canary
    options: Options
    bench: Bench
    baselines: dict[str, Baseline] = field(default_factory=dict)
    messages: int = 0
    replies: int = 0
    echoes: Counter[str] = field(default_factory=Counter)
    met: int = 0
    replaced: int = 0
    released: int = 0
    asides: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    kills: Counter[Victim] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    failures: list[ChatError] = field(default_factory=list)

    async def begin(self, bot: str) -> None:
        """From the mate's own start, which node noted; what it wrote before the trial began counts as well."""
        mate = await running(self.platform, bot)
        baseline = Baseline(mate.pid, mate.written_at_start)
        try:
            growth = baseline.growth()
        except WritesUnreadableError:
            raise ProofError("what the mate writes cannot be read from /proc: run this as root") from None
        if growth < 0:
            raise ProofError(f"node's note of the start of bot {bot} is not of this process: try again")
        self.baselines[bot] = baseline

    def end(self, bot: str) -> None:
        """Adds what the mate has written by now."""
        self.written[bot] += self._growth(bot)

    def _growth(self, bot: str) -> int:
        try:
            return self.baselines[bot].growth()
        except WritesUnreadableError:
            raise ProofError("the mate died by itself during the trial: see `clawmates logs`, then try again") from None

    @asynccontextmanager
    async def _followed(self, *bots: str) -> AsyncIterator[None]:
        """Adds what these mates write until they are gone: while they hand over, and with their last breath."""
        seen = {bot: self._growth(bot) for bot in bots}

        async def follow(bot: str) -> None:
            with suppress(WritesUnreadableError):
                while True:
                    seen[bot] = self.baselines[bot].growth()
                    await asyncio.sleep(LOOK_SECONDS)

        tasks = [asyncio.create_task(follow(bot)) for bot in bots]
        try:
            yield
            await asyncio.wait(tasks, timeout=GONE_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.written.update(seen)

    async def round(self, one: Round) -> None:
        """Everybody is spoken to; whatever happens, happens while the messages are on their way."""
        there = self.platform.stand_ins
        for say in one.says:
            if say.trouble and there:
                await there.provoke(say.talker.bot, say.trouble)
                self.troubles[say.trouble] += 1
        happening = self._happening(one)
        failed: ProofError | None = None
        async with asyncio.TaskGroup() as group:
            talking = {group.create_task(self._say(say, sure=one.calm)): say for say in one.says}
            if happening is not None:
                try:
                    await happening
                except ProofError as error:
                    failed = error
                # Whoever waits in the terminal of a mate that is gone would wait for ever.
                doomed = [task for task, say in talking.items() if failed or _doomed(say, one)]
                if doomed:
                    await asyncio.wait(doomed, timeout=0 if failed else self.options.grace_seconds)
                for task in doomed:
                    task.cancel()
        self._complain(failed)
        if there:
            self.met += await there.calm()

    def _complain(self, failed: ProofError | None = None) -> None:
        """Raises what went wrong first, if anything did."""
        for problem in (failed, *self.failures):
            if problem is not None:
                raise problem

    def _happening(self, one: Round) -> Coroutine[object, object, None] | None:
        match one.planned:
            case Planned.EXCHANGE:
                return self._replaced(one.of)
            case Planned.RELEASE:
                return self._released(tuple(say.talker for say in one.says))
            case None:
                return None if one.kill is None else self._killed(one.kill, one.of)
            case _:
                assert_never(one.planned)

    async def _killed(self, victim: Victim, bot: str) -> None:
        if victim is not Victim.MATE:
            await self.platform.kill(victim)
        else:
            old = self.baselines[bot].pid
            async with self._followed(bot):
                await self.platform.kill_mate(bot)
            await self.begin(bot)
            if self.baselines[bot].pid == old:
                raise ProofError(f"bot {bot} was killed and its process id has not changed: nothing is proven")
        self.kills[victim] += 1
        self.bench.progress("kill -9", 1)

    async def _replaced(self, bot: str) -> None:
        async with self._followed(bot):
            await self.platform.replace(bot)
        await self.begin(bot)
        self.replaced += 1
        self.bench.progress("replacements", 1)

    async def _released(self, talkers: tuple[Talker, ...]) -> None:
        """All bots are exchanged for those of a newer image, and in messengers people go on talking meanwhile."""
        chatter = asyncio.create_task(self._chatter(talkers))
        try:
            async with self._followed(*(one.bot for one in talkers)):
                await self.platform.renew()
        finally:
            chatter.cancel()
            await asyncio.wait([chatter])
        for one in talkers:
            await self.begin(one.bot)
        self.released += 1
        self.bench.progress("releases", 1)

    async def _chatter(self, talkers: tuple[Talker, ...]) -> None:
        there = self.platform.stand_ins
        people = [one for one in talkers if there and one.channel != ChannelKind.TERMINAL]
        while people:
            for one in people:
                self.asides += 1
                await self._say(Say(talker=one, number=ASIDE + self.asides), sure=False)
            await asyncio.sleep(CHATTER_SECONDS)

    async def _say(self, say: Say, *, sure: bool) -> None:
        text, bot = self.canary.message(say.number), say.talker.bot
        self.messages += 1
        there = self.platform.stand_ins
        try:
            async with asyncio.timeout(self.options.chat_seconds):
                if there and say.talker.channel != ChannelKind.TERMINAL:
                    reply = await there.say(bot, text)
                else:
                    reply = await self.platform.chat(bot, text)
        except TimeoutError:
            self.failures.append(ChatError(f"bot {bot} did not answer within {self.options.chat_seconds:.0f} s"))
            return
        except ChatError as error:
            if sure:
                self.failures.append(error)
            return
        if sure and not reply:
            self.failures.append(ChatError(f"bot {bot} gave an empty reply: see `clawmates status`"))
        self.replies += bool(reply)
        self.echoes[bot] += self.canary.stem in reply
        self.bench.progress("messages", 1)

    async def edit(self, talkers: tuple[Talker, ...]) -> int:
        """Changes the last message in every messenger, and says one more thing behind it."""
        there = self.platform.stand_ins
        if there is None:
            return 0
        changed = [one for one in talkers if one.channel != ChannelKind.TERMINAL]
        for place, one in enumerate(changed):
            await there.edit(one.bot, self.canary.message(self.messages + place))
        async with asyncio.TaskGroup() as group:
            for one in changed:
                group.create_task(self._say(Say(talker=one, number=self.messages + len(changed)), sure=True))
        self._complain()
        return len(changed)


def _doomed(say: Say, one: Round) -> bool:
    exchanged = one.planned is Planned.RELEASE or say.talker.bot == one.of
    return exchanged and say.talker.channel == ChannelKind.TERMINAL


async def running(platform: Platform, bot: str = "") -> BotStatus:
    """The bot of that id, or the first with a terminal channel. Raises :class:`NoBotError`."""
    for one in (await platform.status()).bots:
        wanted = one.bot == bot if bot else one.channel == ChannelKind.TERMINAL
        if wanted and one.state in _RUNNING and one.pid:
            return one
    which = f"bot {bot} is not live any more" if bot else "no bot with the terminal channel is live: add one, or"
    raise NoBotError(f"{which}: see `clawmates status`" if bot else f"{which} see `clawmates status` for why it is not")
