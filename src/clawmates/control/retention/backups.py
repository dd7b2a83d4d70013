"""Backups that are over: files, so a job of another kind. Every file in the folder counts, whatever it is called now.

A file is removed first and counted in the transaction that follows: killed between the two, one more is gone than the
sum says, never one less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.control.retention.rules import Job
from clawmates.inventory.files import BACKUPS
from clawmates.wire.backupfile import aged

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.retention.keeper import Taker

NAME = "backup"
"""As the inventory calls it."""
JOB = Job(name=NAME, rules=(), daily=False)


def taker(folder: Path) -> Taker:
    """Removes what is older than :data:`~clawmates.inventory.files.BACKUPS`. Raises ``OSError``."""

    async def take(session: AsyncSession, job: Job, now: datetime, most: int) -> int:  # noqa: ARG001 - no rows
        taken = aged(folder, now - BACKUPS, now)[:most]
        for path in taken:
            path.unlink(missing_ok=True)
        return len(taken)

    return take


def overdue(folder: Path, now: datetime, grace: timedelta) -> int:
    """How many should be gone by now. Raises ``OSError``."""
    return len(aged(folder, now - BACKUPS - grace, now))
