"""After a deletion: the files that held it are written anew without it, and the write-ahead log is emptied.

SQLite: ``secure_delete`` clears a deleted cell where it lies, but not the copies that earlier page splits left in
unused space; only VACUUM writes every page anew. The log is then cut to nothing, which needs a moment without readers.

PostgreSQL: VACUUM alone keeps dead bytes in the pages' holes, so the tables are written anew (``FULL``), and the old
files are unlinked. FULL takes along what an older snapshot may still look at, so those are waited for. The log holds
images of old pages until its files are gone: a new file is begun, and a checkpoint takes the old ones away, if the
server removes them (``wal_recycle = off``; by default it renames them and keeps what is in them), archives none, and
control may do both (``pg_switch_wal``, role ``pg_checkpoint``). Where it may not, that is said, and nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, cast

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from clawmates.control.store import sqlite
from clawmates.control.store.tables import METADATA

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from clawmates.control.store.database import Database

NUMBERS_ALONE = frozenset({"bot_days", "audit_entries", "audit_witnesses", "nodes"})
"""Tables of ids and numbers alone. They may be large, and are not written anew on PostgreSQL."""
SNAPSHOT_SECONDS = 5.0
LOOK_SECONDS = 0.05


class BusyError(Exception):
    """Somebody was reading or writing for too long; it can be tried again."""


async def scrub(database: Database) -> bool:
    """Does it; whether the write-ahead log is empty. Raises :class:`BusyError` and the database's own errors."""
    if database.engine.dialect.name == "postgresql":
        return await _postgresql(database)
    await _sqlite(database)
    return True


async def _sqlite(database: Database) -> None:
    path = str(database.engine.url.database)
    driver = cast(sqlite.Driver, database.engine.dialect.dbapi)
    async with driver.turn:  # our own writers wait in their order, instead of knocking in vain
        await asyncio.to_thread(_rewrite, path)


def _rewrite(path: str) -> None:
    connection = sqlite3.connect(path, timeout=sqlite.BUSY_SECONDS, isolation_level=None)
    try:
        # What VACUUM writes in between is a copy of the whole database: in memory, not in a folder for everybody.
        for line in ("secure_delete=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {line}").fetchall()
        connection.execute("VACUUM")
        (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        raise BusyError from None
    finally:
        connection.close()
    if busy:
        raise BusyError


async def _postgresql(database: Database) -> bool:
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await _wait_for_snapshots(connection)
        try:
            for table in METADATA.sorted_tables:
                if table.name not in NUMBERS_ALONE:
                    await connection.execute(text(f'VACUUM (FULL) "{table.name}"'))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") == "55P03":  # lock_not_available
                raise BusyError from None
            raise
        return await _empty_log(connection)


_OLDER = """SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND age(backend_xmin) > age(CAST(CAST(:mine AS text) AS xid)) LIMIT 1"""


async def _wait_for_snapshots(connection: AsyncConnection) -> None:
    """Until nobody looks at the database as it was before now. Raises :class:`BusyError`."""
    mine = await connection.scalar(text("SELECT CAST(CAST(pg_current_xact_id() AS xid) AS text)"))
    try:
        async with asyncio.timeout(SNAPSHOT_SECONDS):
            while (await connection.execute(text(_OLDER), {"mine": mine})).first() is not None:  # noqa: ASYNC110 - another process changes
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise BusyError from None


_REMOVED = """SELECT current_setting('wal_recycle') = 'off' AND current_setting('archive_mode') = 'off'
AND has_function_privilege('pg_switch_wal()', 'EXECUTE')
AND (pg_has_role(current_user, 'pg_checkpoint', 'USAGE')
OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
AND NOT EXISTS (SELECT FROM pg_replication_slots) AND current_setting('wal_keep_size') = '0'"""


async def _empty_log(connection: AsyncConnection) -> bool:
    """Whether every file of the log that is older than this is gone."""
    if not await connection.scalar(text(_REMOVED)):
        return False
    await connection.execute(text("SELECT pg_switch_wal()"))
    await connection.execute(text("CHECKPOINT"))
    return True
