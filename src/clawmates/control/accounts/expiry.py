"""Takes away what has come to its end: links, sessions, challenges, counts of attempts, changes of address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_

from clawmates.control.accounts import sessions
from clawmates.control.accounts.tables import Attempt, Challenge, EmailChange, Link, Session

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession


async def expire(database: AsyncSession, now: datetime) -> None:
    """To be called every minute or so, by as many replicas as like: a second time it finds nothing."""
    for table in (Link, Challenge, Attempt, EmailChange):
        await database.execute(delete(table).where(table.ends_at <= now))
    idle = Session.seen_at <= now - sessions.IDLE
    await database.execute(delete(Session).where(or_(Session.ends_at <= now, idle)))
