"""Tells control how this node and its bots are: on every change, and every few seconds that it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.node.following import ControlLine, Follower, Pauses
from clawmates.node.keeper import Keeper
from clawmates.node.spec import SLOTS
from clawmates.node.telling import Seen, Teller
from clawmates.wire.control import MOST_ENTRIES
from clawmates.wire.control_client import ControlError
from clawmates.wire.desired import BotSpec
from clawmates.wire.gateway_client import GatewayError
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from pathlib import Path

REPORT_SECONDS = 5.0
SHORTEST_GAP = 0.2
"""So that a hundred bots that start are one report, and not a hundred."""
COUNT_SECONDS = 2.0
COUNT_SHARE = 20
"""Counting may take one part in so many of the time: ten thousand doors are counted less often than ten."""
MIB_PER_BOT = 32
"""What an idle bot takes with all that is around it, and room for some that are busy."""


def capacity(most: int, meminfo: str) -> int:
    """How many bots this host takes: what is configured, or what /proc/meminfo (proc(5)) says there is room for."""
    if most:
        return min(most, SLOTS)
    total = next((int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemTotal:")), 0)
    return max(1, min(total // 1024 // MIB_PER_BOT, SLOTS))


@dataclass(slots=True, kw_only=True)
class Reporter:
    """``release`` gives the digest of the image that bots run."""

    line: ControlLine
    keeper: Keeper
    follower: Follower
    teller: Teller
    pauses: Pauses
    capacity: int
    release: Callable[[], str]
    _count_at: float = 0.0
    _leaving: tuple[str, ...] | None = None
    """As it was said last."""
    _specs: dict[str, BotSpec] | None = None

    async def tell(self) -> None:
        """For ever; what cannot be said now is said later."""
        while True:
            try:
                await self.once()
            except ControlError:
                await asyncio.sleep(self.pauses.after_failure())
                continue
            self.pauses.reset()
            await self._until_news()

    async def once(self) -> None:
        """One report. Raises :class:`ControlError`."""
        self.look()
        await self._count()
        self._leaving = self.leaving()
        report = self.teller.report(
            revision=max(self.follower.revision, 0),
            capacity=self.capacity,
            release=self.release(),
            leaving=self._leaving,
        )
        await (await self.line.client()).report(report)
        self.teller.heard()

    def look(self) -> bool:
        """Shows the teller all bots that anything has happened to; whether there is anything new."""
        keeper = self.keeper
        specs, holds = keeper.specs(), keeper.holds
        shown = []
        for bot, spec in specs.items():
            hold = holds.get(bot)
            if hold is None or hold.told is spec:
                continue
            hold.told = spec
            if spec.paused and hold.running is None:
                shown.append(Seen(bot, BotState.PAUSED, "", hold.username, hold.last, hold.last_at))
            else:
                shown.append(Seen(bot, hold.state, hold.code, hold.username, hold.last, hold.last_at))
        if specs is not self._specs:
            self.teller.forget(self.teller.known - specs.keys())
            self._specs = specs
        return self.teller.bots(shown)

    def leaving(self) -> tuple[str, ...] | None:
        """Bots that are not wanted and not gone: a container, its next life, a door or a folder is there.

        ``None`` where there are too many to say, or nothing is wanted yet: then nobody may take them for gone.
        """
        keeper = self.keeper
        if keeper.desired is None:
            return None
        specs = keeper.specs()
        found = tuple(bot for bot in keeper.holds if bot not in specs)
        return found if len(found) <= MOST_ENTRIES else None

    async def _count(self) -> None:
        began = self.keeper.now
        if began < self._count_at:
            return
        with suppress(GatewayError):
            status = await self.keeper.steps.gateway.status()
            day = self.keeper.clock.now().date().isoformat()
            self.teller.doors(status.instance, status.doors, day)
        took = self.keeper.now - began
        self._count_at = began + max(COUNT_SECONDS, COUNT_SHARE * took)

    async def _until_news(self) -> None:
        await asyncio.sleep(SHORTEST_GAP)
        ends = self.keeper.now + REPORT_SECONDS - SHORTEST_GAP
        while (left := ends - self.keeper.now) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.keeper.looked.wait()
            self.keeper.looked.clear()
            if self.look() or self.leaving() != self._leaving:
                return


def told_file(node_folder: Path) -> Path:
    """Where the teller keeps what it has told: in RAM, as long as the gateway's counts."""
    return node_folder / "told.json"
