"""Brings a database to the newest schema, one replica at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from clawmates.control.store.database import WRITES
from clawmates.control.store.guards import guard
from clawmates.control.store.migrations import revisions
from clawmates.control.store.unsampled import unsample

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from clawmates.control.store.database import Database

LOCK = 0x636C6177
"""The number under which replicas on PostgreSQL wait for each other ("claw")."""
VERSION = "alembic_version"
"""Alembic's own table: one row, the revision that the database is at."""


class SchemaError(Exception):
    """The database belongs to a newer version of the software: update this one, or restore the backup of before."""


async def migrate(database: Database) -> None:
    """To the newest schema; does nothing where it is. Raises :class:`SchemaError`."""
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    known, found = revisions(), _found(connection)
    if not set(found) <= set(known):
        raise SchemaError(SchemaError.__doc__)
    if found != known[-1:]:
        from clawmates.control.store.upgrade import upgrade  # noqa: PLC0415 - Alembic: 0.1 s that few starts need

        upgrade(connection)
    guard(connection)
    unsample(connection)


def _found(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(VERSION):
        return []
    return list(connection.scalars(text(f"SELECT version_num FROM {VERSION}")))  # noqa: S608 - ours
