"""Deletions that are not over after a day: somebody has asked to be gone, and a vault or a database stands in the way.

No job takes them and none gives up; what they need is that somebody hears of it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.control.erasure.tables import Erasure

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

NAME = "deletion"
PATIENCE = timedelta(days=1)
"""A host that is lost holds one up for a lease, a mail server for an hour."""


async def waiting(session: AsyncSession, now: datetime) -> tuple[int, datetime | None]:
    """How many, and since when the oldest is late; (0, ``None``) where all is well."""
    late = select(func.count(), func.min(Erasure.asked_at)).where(
        Erasure.receipt == "", Erasure.asked_at <= now - PATIENCE
    )
    count, oldest = (await session.execute(late)).one()
    return count, oldest + PATIENCE if oldest is not None else None
