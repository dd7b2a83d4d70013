"""Runs the jobs: each one replica's at a time, in bounded batches of one transaction each, going on after any crash.

A job's row is its lock. Who takes it writes its own name and an end into it; each batch begins by proving that the
name is still there, and puts the end off, so a replica that was held up for too long takes nothing more away. What a
batch took is counted in its own transaction: killed between any two, the sum of what the runs say is what is gone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from clawmates.base.clock import Clock, stamp
from clawmates.base.hardening import place_of
from clawmates.control.retention import statements, waiting
from clawmates.control.retention.rules import DAY, JOBS, Job, is_due, is_late, next_due
from clawmates.control.retention.tables import RetentionJob
from clawmates.control.retention.taking import idle_of, take
from clawmates.control.store.checkpoint import checkpoint
from clawmates.control.store.database import Database
from clawmates.control.store.upsert import insert_into

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_SECONDS = 15.0
HOLD = timedelta(seconds=60)
"""Longer than any batch takes."""
BATCH = 2_000
"""Rows in one transaction: others wait no longer than that takes, some tens of milliseconds."""

Taker = Callable[[AsyncSession, Job, datetime, int], Awaitable[int]]
"""Takes at most so many rows away and returns how many; fewer: none is left."""


@dataclass(slots=True, kw_only=True)
class Keeper:
    """One replica's hands; ``holder`` is random, and nobody else's."""

    database: Database
    clock: Clock
    holder: str
    jobs: tuple[Job, ...] = JOBS
    takers: Mapping[str, Taker] = field(default_factory=dict)
    """By name, for jobs that do more than take rows away."""
    watched: tuple[str, ...] = ()
    """Jobs of somebody else's, of which it is only said when they are late."""
    _late: set[str] = field(default_factory=set)

    async def keep(self) -> None:
        """For ever; a database that is away is tried again."""
        while True:
            try:
                await self.round()
                await self.alarm()
            except (SQLAlchemyError, OSError) as error:
                sys.stderr.write(f"nothing was taken away: {place_of(error)}\n")
            await asyncio.sleep(LOOK_SECONDS)

    async def round(self) -> dict[str, int]:
        """Does what is due and nobody else is at; returns how many rows each of these jobs took away."""
        due = await self._due()
        done = dict.fromkeys(await self._rest(due), 0)
        for job in due:
            if job.name in done:
                continue
            try:
                taken = await self._run(job)
            except Exception as error:  # noqa: BLE001 - one job's defect is not the others', nor control's
                sys.stderr.write(f"{job.name} was not taken away: {place_of(error)}\n")
                continue
            if taken is not None:
                done[job.name] = taken
        if any(done.values()):
            await checkpoint(self.database)
        return done

    async def alarm(self) -> frozenset[str]:
        """Says once of each job, and of deletions, that it is late, whoever should have done it; returns which are."""
        async with self.database.reading() as session:
            states = await session.execute(select(RetentionJob.job, RetentionJob.due_at))
            _, deletion = await waiting.waiting(session, self.clock.now())
        mine, now = {*(job.name for job in self.jobs), *self.watched}, self.clock.now()
        late = {name: due_at for name, due_at in states if name in mine and is_late(due_at, now)}
        if deletion is not None:
            late[waiting.NAME] = deletion
        for name in sorted(late.keys() - self._late):
            sys.stderr.write(
                f"retention: {name} is late, it was due at {stamp(late[name])}; see `clawmates admin retention`\n"
            )
        self._late = set(late)
        return frozenset(late)

    async def _due(self) -> list[Job]:
        now = self.clock.now()
        async with self.database.reading() as session:
            known = dict((await session.execute(select(RetentionJob.job, RetentionJob.due_at))).all())
        fresh = [name for name in (*(job.name for job in self.jobs), *self.watched) if name not in known]
        if fresh:
            async with self.database.writing() as session:
                await enrol(session, fresh, now)
        return [job for job in self.jobs if job.name not in known or is_due(known[job.name], now)]

    async def _rest(self, due: list[Job]) -> set[str]:
        """Those of which nothing is to be done; none where that cannot be said, and then each is looked at alone."""
        plain = [job for job in due if job.name not in self.takers]
        if len(plain) < 2:
            return set()
        try:
            async with self.database.writing() as session:
                return await rest(session, plain, self.clock.now())
        except Exception:  # noqa: BLE001 - one job's defect is not the others', nor control's; its own run says which
            return set()

    async def _run(self, job: Job) -> int | None:
        """``None`` where another replica is at it. A run of one batch, as nearly all are, is one transaction."""
        taker, taken, found = self.takers.get(job.name, take), 0, BATCH
        while found == BATCH:
            async with self.database.writing() as session:
                now = self.clock.now()
                if not taken and not await claim(session, job, self.holder, now):
                    return None
                batch = await step(session, job, self.holder, now, taker)
            found = batch or 0  # or taken over meanwhile
            taken += found
        return taken


async def enrol(session: AsyncSession, names: Iterable[str], now: datetime) -> None:
    """Makes the rows of jobs that have none yet; they are due at once."""
    rows = [{"job": name, "due_at": now, "ended_at": None, "holder": "", "held_until": now} for name in names]
    await session.execute(insert_into(session, RetentionJob).values(rows).on_conflict_do_nothing())


async def claim(session: AsyncSession, job: Job, holder: str, now: datetime) -> bool:
    """Takes a job that is due and that nobody holds; of two replicas who come at once, one gets it.

    A hold that reaches further than any hold does is from before the clock was put back.
    """
    values = {"name": job.name, "mine": holder, "until": now + HOLD} | _moments(now)
    found = await (await session.connection()).execute(statements.CLAIM, values)
    return found.first() is not None


async def step(session: AsyncSession, job: Job, holder: str, now: datetime, take: Taker) -> int | None:
    """One batch, counted; ``None`` where another replica has taken the job over. The last one ends the run."""
    connection = await session.connection()
    hold = {"name": job.name, "mine": holder, "until": now + HOLD}
    if (await connection.execute(statements.HOLD, hold)).first() is None:
        return None
    taken = await take(session, job, now, BATCH)
    last = taken < BATCH
    ended = now if last else None
    run = (await connection.execute(statements.NEWEST, {"name": job.name})).one_or_none()
    if run is not None and run.ended_at is None:
        await connection.execute(statements.COUNTED, {"one": run.number, "more": taken, "ended": ended})
    elif taken:
        begun = {"job": job.name, "began_at": now, "ended_at": ended, "taken": taken}
        await connection.execute(statements.BEGUN, begun)
    if last:
        await connection.execute(statements.OVER, {"name": job.name, "now": now, "next": next_due(job, now)})
    return taken


async def rest(session: AsyncSession, jobs: Iterable[Job], now: datetime) -> set[str]:
    """Brings those to their end that have nothing to do, all at once; returns which.

    Each of a dozen would write every minute otherwise, for nothing.
    """
    idle = await idle_of(session, tuple(jobs), now)
    ended: set[str] = set()
    for daily in (False, True):
        some = [job for job in idle if job.daily is daily]
        if some:
            values = {"names": [job.name for job in some], "next": next_due(some[0], now)} | _moments(now)
            ended |= set(await (await session.connection()).scalars(statements.PASS, values))
    return ended


def _moments(now: datetime) -> dict[str, datetime]:
    return {"now": now, "far": now + HOLD, "tomorrow": now + DAY}
