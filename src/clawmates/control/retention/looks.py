"""What an operator sees of the retention jobs: names, moments and counts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.base.clock import stamp
from clawmates.control.retention import waiting
from clawmates.control.retention.rules import GRACE, JOBS, is_late
from clawmates.control.retention.tables import RetentionJob, RetentionRun
from clawmates.control.retention.taking import overdue
from clawmates.wire.operator import Retention, RetentionRow, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.retention.rules import Job


async def retention(
    session: AsyncSession,
    now: datetime,
    jobs: Iterable[Job] = JOBS,
    *,
    others: Mapping[str, int] = MappingProxyType({}),
) -> Retention:
    """All jobs; ``others`` are those that take no rows, with how much of theirs is over for a while.

    Rows are looked for, not only promised: one that is over for a while is overdue, whatever jobs say. Deletions that
    somebody waits for are among them once they are late.
    """
    states = {row.job: row for row in await session.scalars(select(RetentionJob))}
    sums = select(RetentionRun.job, func.sum(RetentionRun.taken)).group_by(RetentionRun.job)
    taken = dict((await session.execute(sums)).all())
    found = []
    left_over = [(job.name, await overdue(session, job, now - GRACE)) for job in jobs]
    for name, left in [*left_over, *others.items()]:
        state = states.get(name)
        ended_at = state.ended_at if state is not None else None
        found.append(
            RetentionRow(
                job=name,
                ended_at=stamp(ended_at) if ended_at is not None else "",
                due_at=stamp(state.due_at) if state is not None else "",
                taken=int(taken.get(name, 0)),
                overdue=left,
                late=state is None or is_late(state.due_at, now) or left > 0,
            )
        )
    count, since = await waiting.waiting(session, now)
    if since is not None:
        one = RetentionRow(job=waiting.NAME, ended_at="", due_at=stamp(since), taken=0, overdue=count, late=True)
        found.append(one)
    return Retention(jobs=tuple(found))


async def standing(
    session: AsyncSession, now: datetime, jobs: Iterable[Job] = JOBS, *, others: Iterable[str] = ()
) -> Standing:
    """Whether the jobs are in time, by what they say themselves: no row is looked for, so it costs next to nothing."""
    states = {row.job: row for row in await session.scalars(select(RetentionJob))}
    ended = [row.ended_at for row in states.values() if row.ended_at is not None]
    names = (*(one.name for one in jobs), *others)
    late = [name for name in names if name not in states or is_late(states[name].due_at, now)]
    late += [waiting.NAME] if (await waiting.waiting(session, now))[0] else []
    return Standing(ended_at=stamp(max(ended)) if ended else "", late=tuple(late))
