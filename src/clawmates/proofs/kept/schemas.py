"""Which tables and columns a database has: asked of the database itself, never of the code that made it."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from clawmates.control.store.database import DatabaseError, open_database
from clawmates.proofs.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from clawmates.proofs.platform import Platform

BUSY_SECONDS = 10.0
SQLITE_OWN = "sqlite_"
"""SQLite's own tables begin so, and nobody else may call one so (sqlite.org/fileformat2.html, 2.6)."""
# Every schema that is not the server's own, temporary tables among them; a table outside of `public` keeps its schema.
COLUMNS = """
SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '/' END || c.relname || '.' || a.attname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
"""


def of_sqlite(connection: sqlite3.Connection) -> frozenset[str]:
    """``TABLE.COLUMN`` of all tables and views, hidden and generated columns too."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
    return frozenset(
        f"{name}.{row[0]}"
        for name in names
        if not name.startswith(SQLITE_OWN)
        for row in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (name,))
    )


def beside(path: Path) -> sqlite3.Connection:
    """A reader of a database that somebody else has open. Raises :class:`ProofError`."""
    try:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    except sqlite3.Error:
        raise ProofError(f"{path} cannot be read: run this as root, where the platform runs") from None


def image(data: bytes) -> sqlite3.Connection:
    """A database in memory, from the bytes of its file."""
    connection = sqlite3.connect(":memory:")
    if data:
        connection.deserialize(data)
    return connection


def altered(connection: sqlite3.Connection, column: str) -> frozenset[str]:
    """What a copy has, without a row in it, whose last table was left out and whose first got one ``column`` more."""
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name"
    ).fetchall()
    with closing(sqlite3.connect(":memory:")) as copy:
        mine = [row for row in tables if not row[0].startswith(SQLITE_OWN)]
        for _, statement in mine[:-1]:
            copy.execute(statement)
        copy.execute(f'ALTER TABLE "{mine[0][0]}" ADD COLUMN "{column}" TEXT')
        return of_sqlite(copy)


@asynccontextmanager
async def of_server(platform: Platform) -> AsyncIterator[AsyncConnection]:
    """A connection to the PostgreSQL that control is configured with. Raises :class:`ProofError`."""
    try:
        database = open_database(platform.settings.control, platform.state)
        try:
            async with database.engine.connect() as connection:
                yield connection
        finally:
            await database.close()
    except (DatabaseError, SQLAlchemyError, OSError):
        raise ProofError("control's database does not answer: see `clawmates doctor`") from None


async def of_postgresql(connection: AsyncConnection) -> frozenset[str]:
    """``TABLE.COLUMN`` of everything that is not the server's own."""
    return frozenset((await connection.execute(text(COLUMNS))).scalars())
