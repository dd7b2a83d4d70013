"""Canary messages through a running bot, with the accidents of real life on the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.platform import ChatError, NoBotError, ProofError
from clawmates.proofs.writes import Baseline, WritesUnreadableError
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.proofs.canary import Canary
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Options, Progress
    from clawmates.wire.status import BotStatus

_RUNNING = {BotState.LIVE, BotState.DEGRADED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was done to the bot."""

    bot: str
    messages: int
    replies: int
    provider_errors: int
    kills: int
    written: int
    """Bytes that the mates wrote to disk between their own start and the end, or their death."""


async def running(platform: Platform, bot: str = "") -> BotStatus:
    """The bot of that id, or the first with a terminal channel. Raises :class:`NoBotError`."""
    status = await platform.status()
    for one in status.bots:
        wanted = one.bot == bot if bot else one.channel == ChannelKind.TERMINAL
        if wanted and one.state in _RUNNING and one.pid:
            return one
    raise NoBotError("no bot with the terminal channel is live: add one, or see `clawmates status` for why it is not")


async def converse(platform: Platform, canary: Canary, options: Options, progress: Progress) -> Conversation:
    """Sends the messages: a third in, the provider fails; two thirds in, the mate is killed while it answers.

    Raises :class:`~clawmates.proofs.platform.ProofError`.
    """
    mate = await running(platform)
    baseline = _baseline(mate)
    provoke = platform.provoke_provider_error
    fails_at, dies_at = options.messages // 3, 2 * options.messages // 3
    replies = written = errors = 0
    for number in range(options.messages):
        text = canary.message(number)
        if number == dies_at:
            written += _growth(baseline)
            answered = await _killed(platform, mate.bot, text, options)
            mate = await running(platform, mate.bot)
            if mate.pid == baseline.pid:
                raise ProofError(f"bot {mate.bot} was killed and its process id has not changed: nothing is proven")
            baseline = _baseline(mate)
        else:
            if number == fails_at and provoke is not None:
                await provoke(mate.bot)
                errors += 1
            answered = await _said(platform, mate.bot, text, options)
            if not answered:
                raise ChatError(f"bot {mate.bot} gave an empty reply: see `clawmates status`")
        replies += answered
        progress("messages", 1)
    return Conversation(
        bot=mate.bot,
        messages=options.messages,
        replies=replies,
        provider_errors=errors,
        kills=1,
        written=written + _growth(baseline),
    )


async def _said(platform: Platform, bot: str, text: str, options: Options) -> bool:
    try:
        async with asyncio.timeout(options.chat_seconds):
            return bool(await platform.chat(bot, text))
    except TimeoutError:
        raise ChatError(f"bot {bot} did not answer within {options.chat_seconds:.0f} s") from None


async def _killed(platform: Platform, bot: str, text: str, options: Options) -> bool:
    """The mate dies while the message is with it; a missing reply is what one expects."""
    answered = False

    async def say() -> None:
        nonlocal answered
        with suppress(ChatError):
            answered = await _said(platform, bot, text, options)

    failed: ProofError | None = None
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(say())
        try:
            await platform.kill_mate(bot)
        except ProofError as error:
            failed = error
        else:
            await asyncio.wait({talking}, timeout=options.grace_seconds)
        # Whoever still waits for the dead mate's reply would wait for ever.
        talking.cancel()
    if failed is not None:
        raise failed
    return answered


def _baseline(mate: BotStatus) -> Baseline:
    """From the mate's own start, which node noted; what it wrote before the trial began counts as well."""
    baseline = Baseline(mate.pid, mate.written_at_start)
    try:
        growth = baseline.growth()
    except WritesUnreadableError:
        raise ProofError("what the mate writes cannot be read from /proc: run this as root") from None
    if growth < 0:
        raise ProofError(f"node's note of the start of bot {mate.bot} is not of this process: try again")
    return baseline


def _growth(baseline: Baseline) -> int:
    try:
        return baseline.growth()
    except WritesUnreadableError:
        raise ProofError("the mate died by itself during the trial: see `clawmates logs`, then try again") from None
