"""One backup a day, whichever host makes it: its row among the retention jobs is the lock, and tells of a late one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, update

from clawmates.control.retention.keeper import enrol
from clawmates.control.retention.rules import DAY
from clawmates.control.retention.tables import RetentionJob

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

NAME = "backup-daily"
HOLD = timedelta(minutes=10)
"""Longer than making one takes. Whoever was killed over it holds it no longer."""


async def claim(session: AsyncSession, now: datetime) -> bool:
    """Whether one is to be made now, by whoever asked; for :data:`HOLD` nobody else is told so."""
    await enrol(session, [NAME], now)
    row = RetentionJob
    free = or_(row.held_until <= now, row.held_until > now + HOLD)
    due = or_(row.due_at <= now, row.due_at > now + DAY)
    mine = update(row).where(row.job == NAME, due, free).values(held_until=now + HOLD)
    return (await session.execute(mine.returning(row.job))).first() is not None


async def made(session: AsyncSession, now: datetime) -> None:
    """One was made, and lies where backups do: the next is due in a day."""
    await enrol(session, [NAME], now)
    over = {"ended_at": now, "due_at": now + DAY, "holder": "", "held_until": now}
    await session.execute(update(RetentionJob).where(RetentionJob.job == NAME).values(over))
