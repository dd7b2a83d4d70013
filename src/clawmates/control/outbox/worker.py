"""Does what is in the outbox: lane by lane in order, any number of replicas side by side.

An errand is taken by moving its ``due_at`` into the future, in a short transaction: on PostgreSQL ``SKIP LOCKED`` keeps
two replicas from taking one, on SQLite the one writer's lock. While it is being done no transaction is open. A replica
that dies leaves an errand that is due again after :data:`HOLD`; so each step is done once or more often, never not.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased

from clawmates.base.clock import Clock
from clawmates.base.hardening import place_of
from clawmates.control.outbox.outbox import EXPIRED, PERISHES, Handler, Later, Outcome, Refused, Task, pause
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Select


DO_SECONDS = 20.0
HOLD = timedelta(seconds=DO_SECONDS + 10)
"""How long a taken errand is left alone: longer than it can take, so nobody does it meanwhile."""
FAR = timedelta(days=1)
"""No errand waits for so long: a moment further ahead is from before a clock was put back, and void."""
LOOK_SECONDS = 0.25
MOST_AT_ONCE = 16
INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One replica's hands."""

    database: Database
    clock: Clock
    random: Callable[[int], bytes]
    handlers: Mapping[str, Handler]

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; a database that does not answer is asked again."""
        while not stop.is_set():
            try:
                busy = await self.round()
            except (SQLAlchemyError, OSError):
                busy = False
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await stop.wait()

    async def round(self) -> bool:
        """Takes what is due and does it, each lane as far as it goes; returns whether anything was done."""
        tasks = await self._take()
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(self._lane(task))
        return bool(tasks)

    async def _lane(self, task: Task | None) -> None:
        while task is not None:
            outcome = await self._do(task)
            if not await self._settle(task, outcome):
                return
            found = await self._take(task.lane)
            task = found[0] if found else None

    async def _take(self, lane: str = "") -> list[Task]:
        now = self.clock.now()
        perishing = frozenset(kind for kind, handler in self.handlers.items() if handler.perishes)
        asked = {"now": now, "far": now + FAR, "perished": now - PERISHES} | ({"lane": lane} if lane else {})
        async with self.database.reading() as session:
            if await session.scalar(_any(perishing, of_lane=bool(lane)), asked) is None:
                return []  # so that an idle replica never writes
        async with self.database.writing() as session:
            wanted = _due(perishing, of_lane=bool(lane)).order_by(Errand.due_at).limit(MOST_AT_ONCE)
            found = (await session.scalars(wanted.with_for_update(skip_locked=True), asked)).all()
            for errand in found:
                errand.due_at = now + HOLD
                errand.tries += 1
            return [Task(one.number, one.lane, one.kind, one.body, one.tries - 1, one.made_at) for one in found]

    async def _do(self, task: Task) -> Outcome:
        handler = self.handlers.get(task.kind)
        if handler is None:
            return Later(INTERNAL)  # a newer replica's: it knows how
        if handler.perishes and self.clock.now() - task.made_at >= PERISHES:
            return Refused(EXPIRED)
        try:
            async with asyncio.timeout(DO_SECONDS):
                return await handler.do(task)
        except TimeoutError:
            return Later("timed-out")
        except Exception as error:  # noqa: BLE001 - one errand's defect must not stop the others
            sys.stderr.write(f"errand failed: {place_of(error)}\n")
            return Later(INTERNAL)

    async def _settle(self, task: Task, outcome: Outcome) -> bool:
        """Whether the lane may go on. Somebody else may have settled it, where this replica was held up too long."""
        try:
            async with self.database.writing() as session:
                errand = await session.get(Errand, task.number, with_for_update=True)
                if errand is None or errand.tries != task.tries + 1:
                    return False
                if isinstance(outcome, Later):
                    errand.trouble = outcome.code
                    errand.due_at = self.clock.now() + pause(task.tries, self.random)
                    return False
                await self.handlers[task.kind].settle(session, task, outcome)
                await session.delete(errand)
        except Exception as error:  # noqa: BLE001 - it is due again after HOLD
            sys.stderr.write(f"errand not settled: {place_of(error)}\n")
            return False
        return True


@cache
def _due(perishing: frozenset[str], *, of_lane: bool) -> Select[Errand]:
    """The first errand of each lane, where it is due; and what has perished behind one that may wait for long.

    Those are ciphertexts and addresses: that they are kept for a day at most is promised, whatever stands before them.
    Asked with ``now``, ``far``, ``perished`` and perhaps ``lane``; made once, for making it costs more than asking.
    """
    earlier = aliased(Errand)
    first = ~exists().where(earlier.lane == Errand.lane, earlier.number < Errand.number)
    perished = Errand.kind.in_(perishing) & (Errand.made_at <= bindparam("perished"))
    due = or_(Errand.due_at <= bindparam("now"), Errand.due_at > bindparam("far"))
    wanted = select(Errand).where(due, first | perished)
    return wanted.where(Errand.lane == bindparam("lane")) if of_lane else wanted


@cache
def _any(perishing: frozenset[str], *, of_lane: bool) -> Select[int]:
    """Whether there is one: its number, or nothing."""
    return _due(perishing, of_lane=of_lane).with_only_columns(Errand.number).limit(1)
