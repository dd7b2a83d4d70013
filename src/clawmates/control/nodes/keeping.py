"""Looks after nodes: who is lost, and whose bots may go elsewhere. Every replica does it; a step is one transaction."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from clawmates.base.clock import Clock
from clawmates.base.hardening import place_of
from clawmates.control.nodes import draining, moving
from clawmates.control.nodes.placing import Stage
from clawmates.control.nodes.tables import BotMove, Node
from clawmates.control.store.database import Database

LOOK_SECONDS = 2.0
GAP_SECONDS = 15.0
"""Between two looks; after a longer one nodes are given time to speak again."""


@dataclass(slots=True)
class NodeKeeper:
    """A node is called lost only by who has been listening for that long: a control that was away hears nobody."""

    database: Database
    clock: Clock
    _listening_since: float | None = None
    _last: float = 0.0

    async def keep(self) -> None:
        """For ever; a database that is away is tried again."""
        while True:
            try:
                await self.look()
            except (SQLAlchemyError, OSError) as error:
                sys.stderr.write(f"nodes not looked after: {place_of(error)}\n")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """One look: nothing is written where nothing is to do."""
        now, at = self.clock.now(), self.clock.monotonic()
        async with self.database.reading() as session:
            silent = select(func.count()).where(
                or_(Node.stage == Stage.LOST.value, Node.seen_at < now - moving.LOST_AFTER)
            )
            is_draining = await draining.to_do(session)
            waiting = select(func.count()).where(BotMove.target.is_(None), BotMove.free_at <= now)
            is_silent, is_waiting = bool(await session.scalar(silent)), bool(await session.scalar(waiting))
        if self._listening_since is None or at - self._last > GAP_SECONDS:
            self._listening_since = at
        self._last = at
        if is_silent and at - self._listening_since >= moving.LOST_AFTER.total_seconds():
            async with self.database.writing() as session:
                await moving.lose(session, now)
        if is_draining:
            async with self.database.writing() as session:
                await draining.step(session, now)
        if is_waiting:
            async with self.database.writing() as session:
                await moving.settle(session, now)
