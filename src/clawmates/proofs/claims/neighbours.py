"""What a hog in one container costs the bot beside it: reply times with and without, taken in turns."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ChatError, NoBotError
from clawmates.proofs.result import Table
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options
    from clawmates.wire.status import BotStatus

ROUNDS = 10
"""Of one block without and one with a hog; the order changes each time, so that a slow minute hits both."""
BLOCK = 60
"""Replies in a block: 600 a side, so that the 99th of a hundred stands on six replies and not on one."""
WARM_UP = 10
MOST = 1.2
"""How much longer the 99th of a hundred replies may take beside a hog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hogged:
    """The result of one measurement."""

    alone: tuple[float, ...]
    beside: tuple[float, ...]
    """Seconds of each reply, without and with the hog."""

    @property
    def ratio(self) -> float:
        """How many times as long the 99th of a hundred takes beside the hog."""
        return percentile(self.beside, 99) / percentile(self.alone, 99)

    @property
    def against(self) -> tuple[str, ...]:
        """What speaks against the claim."""
        if self.ratio <= MOST:
            return ()
        return (f"beside a hog the neighbour's p99 is {self.ratio:.2f} times as long, more than {MOST:.2f}",)

    @property
    def summary(self) -> str:
        """One sentence."""
        alone, beside = (percentile(values, 99) * 1000 for values in (self.alone, self.beside))
        return (
            f"Beside a hog the neighbour's p99 of {len(self.beside)} replies moved from {alone:.1f} to {beside:.1f} ms"
            f" ({self.ratio - 1:+.0%})."
        )

    @property
    def figures(self) -> dict[str, int | float | str]:
        """Flat keys."""
        return {
            "hog_replies": len(self.alone) + len(self.beside),
            "neighbour_ms_p50_alone": round(percentile(self.alone, 50) * 1000, 2),
            "neighbour_ms_p50_hogged": round(percentile(self.beside, 50) * 1000, 2),
            "neighbour_ms_p99_alone": round(percentile(self.alone, 99) * 1000, 2),
            "neighbour_ms_p99_hogged": round(percentile(self.beside, 99) * 1000, 2),
            "neighbour_p99_ratio": round(self.ratio, 3),
        }

    @property
    def table(self) -> Table:
        """Milliseconds, side by side."""
        rows = tuple(
            (f"p{share}", f"{percentile(self.alone, share) * 1000:.1f}", f"{percentile(self.beside, share) * 1000:.1f}")
            for share in (50, 90, 95, 99)
        )
        return Table(title="a neighbour's replies (ms)", rows=(("share", "alone", "beside a hog"), *rows))


def percentile(values: Sequence[float], share: int) -> float:
    """The value below which ``share`` of a hundred lie (nearest rank)."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]


async def measure(platform: Platform, bots: Sequence[BotStatus], options: Options, bench: Bench) -> Hogged | None:
    """Talks to one bot while another hogs, and while it does not; ``None`` where there is no other.

    Raises :class:`~clawmates.proofs.errors.ProofError`.
    """
    talker = next((bot for bot in bots if bot.channel == ChannelKind.TERMINAL), None)
    if talker is None:
        raise NoBotError("no bot with the terminal channel is live: a hog's neighbour must be talked to")
    other = next((bot for bot in bots if bot.bot != talker.bot), None)
    if other is None:
        return None
    alone: list[float] = []
    beside: list[float] = []
    await _block(platform, talker.bot, WARM_UP, options, bench)
    for number in range(ROUNDS):
        for hog in (number % 2 == 0, number % 2 == 1):
            async with AsyncExitStack() as stack:
                if hog:
                    await stack.enter_async_context(platform.hog(other.bot))
                (beside if hog else alone).extend(await _block(platform, talker.bot, BLOCK, options, bench))
    return Hogged(alone=tuple(alone), beside=tuple(beside))


async def _block(platform: Platform, bot: str, count: int, options: Options, bench: Bench) -> list[float]:
    taken = []
    for number in range(count):
        began = bench.clock.monotonic()
        try:
            async with asyncio.timeout(options.chat_seconds):
                await platform.chat(bot, f"Are you there? {number}")
        except TimeoutError:
            raise ChatError(f"bot {bot} did not answer within {options.chat_seconds:.0f} s") from None
        taken.append(bench.clock.monotonic() - began)
        bench.progress("replies beside a hog", 1)
    return taken
