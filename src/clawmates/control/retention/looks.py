"""What an operator sees of the retention jobs: names, moments and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.base.clock import stamp
from clawmates.control.retention.rules import GRACE, JOBS, is_late
from clawmates.control.retention.tables import RetentionJob, RetentionRun
from clawmates.control.retention.taking import overdue
from clawmates.wire.operator import Retention, RetentionRow, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.retention.rules import Job


async def retention(session: AsyncSession, now: datetime, jobs: Iterable[Job] = JOBS) -> Retention:
    """All jobs. Rows are looked for, not only promised: one that is over for a while is overdue, whatever jobs say."""
    states = {row.job: row for row in await session.scalars(select(RetentionJob))}
    sums = select(RetentionRun.job, func.sum(RetentionRun.taken)).group_by(RetentionRun.job)
    taken = dict((await session.execute(sums)).all())
    found = []
    for job in jobs:
        state, left = states.get(job.name), await overdue(session, job, now - GRACE)
        ended_at = state.ended_at if state is not None else None
        found.append(
            RetentionRow(
                job=job.name,
                ended_at=stamp(ended_at) if ended_at is not None else "",
                due_at=stamp(state.due_at) if state is not None else "",
                taken=int(taken.get(job.name, 0)),
                overdue=left,
                late=state is None or is_late(state.due_at, now) or left > 0,
            )
        )
    return Retention(jobs=tuple(found))


async def standing(session: AsyncSession, now: datetime, jobs: Iterable[Job] = JOBS) -> Standing:
    """Whether the jobs are in time, by what they say themselves: no row is looked for, so it costs next to nothing."""
    states = {row.job: row for row in await session.scalars(select(RetentionJob))}
    ended = [row.ended_at for row in states.values() if row.ended_at is not None]
    late = (one.name for one in jobs if one.name not in states or is_late(states[one.name].due_at, now))
    return Standing(ended_at=stamp(max(ended)) if ended else "", late=tuple(late))
