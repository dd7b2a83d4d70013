"""The retention jobs in two simulated years of 10,000 people, on both databases; the floor is a bare DELETE."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.bots.tables import BotDay
from clawmates.control.store.database import Database, open_database
from clawmates.control.store.migrate import migrate
from clawmates.inventory.spans import COUNTS
from clawmates.trials.postgresql import postgresql
from clawmates.trials.retention_life import FIRST, Life, Nights, live

if TYPE_CHECKING:
    from collections.abc import Callable

TWO_YEARS = Life(people=10_000, days=730)
CHECK_EVERY = 73


async def figures(life: Life = TWO_YEARS) -> dict[str, float]:
    """``retention_run_s`` is the longest night's on either database; the sums are over both."""
    with tempfile.TemporaryDirectory(prefix="cm-bench-retention-") as name:
        lite, floor = await _measured(lambda state: open_database(Control(), state), Path(name), life)
        with postgresql() as cluster:
            cluster.tell("CREATE DATABASE bench")
            settings = cluster.settings("bench")
            big, floor_big = await _measured(lambda state: open_database(settings, state), Path(name), life)
    return {
        "retention_run_s": max(*lite.seconds, *big.seconds),
        "floor_retention_run_s": max(floor, floor_big),
        "retention_run_sqlite_s": max(lite.seconds),
        "floor_retention_run_sqlite_s": floor,
        "retention_run_postgresql_s": max(big.seconds),
        "floor_retention_run_postgresql_s": floor_big,
        "rows_overdue": lite.overdue + big.overdue,
        "rows_taken_away": lite.taken + big.taken,
        "counts_off": lite.counts_off + big.counts_off,
    }


async def _measured(opened: Callable[[State], Database], folder: Path, life: Life) -> tuple[Nights, float]:
    database = opened(State(folder))
    try:
        await migrate(database)
        found = await live(database, life, check_every=CHECK_EVERY)
        return found, await _floor(database, life)
    finally:
        await database.close()


async def _floor(database: Database, life: Life) -> float:
    """Seconds in which the next day's counts go by one statement: no lock, no batches, no sum."""
    oldest = FIRST + timedelta(days=life.days + 1) - COUNTS
    begun = time.monotonic()
    async with database.writing() as session:
        await session.execute(delete(BotDay).where(BotDay.day < oldest))
    return time.monotonic() - begun
