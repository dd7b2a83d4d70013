"""The retention jobs in two simulated years of 10,000 people, on both databases; the floor is a bare DELETE.

Who is deleted meanwhile goes by control's own steps. In the end every byte of the database's files is read: no name of
theirs may be in it, and the names of all others must be, or nothing would be shown.
"""

from __future__ import annotations

import asyncio

from clawmates.trials.retention_alone import apart
from clawmates.trials.retention_life import Life

TWO_YEARS = Life(people=10_000, days=730)


async def figures(life: Life = TWO_YEARS) -> dict[str, float]:
    """``retention_run_s`` is the longest night's on either database; the sums are over both, which live at once."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(apart(kind, life)) for kind in ("sqlite", "postgresql")]
    lite, big = both = [task.result() for task in tasks]
    return {
        "retention_run_s": max(one.longest for one in both),
        "floor_retention_run_s": max(one.floor for one in both),
        "retention_run_sqlite_s": lite.longest,
        "floor_retention_run_sqlite_s": lite.floor,
        "retention_run_postgresql_s": big.longest,
        "floor_retention_run_postgresql_s": big.floor,
        "rows_overdue": sum(one.overdue for one in both),
        "rows_taken_away": sum(one.taken for one in both),
        "counts_off": sum(one.counts_off for one in both),
        "people_deleted": sum(one.deleted for one in both),
        "deleted_bytes_found": sum(one.left for one in both),
        "floor_deleted_bytes_found": sum(one.here for one in both),
    }
