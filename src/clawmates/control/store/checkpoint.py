"""SQLite's write-ahead log, emptied: what was deleted stands in its older pages until then."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawmates.control.store.database import Database

WAIT_SECONDS = 1.0
"""For readers of an older moment; writers wait meanwhile, so it is short."""


async def checkpoint(database: Database) -> bool:
    """Whether the log is empty now; it is not where somebody was reading all the time. PostgreSQL has none of this."""
    if database.engine.dialect.name != "sqlite":
        return True
    return await asyncio.to_thread(_truncate, str(database.engine.url.database))


def _truncate(path: str) -> bool:
    # SQLite, "PRAGMA wal_checkpoint": the first column of the answer says whether it was kept from ending.
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS)
    try:
        (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return not busy
