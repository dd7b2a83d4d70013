"""Brings a database to the newest schema, one replica at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from clawmates.control.store.database import WRITES
from clawmates.control.store.guards import guard
from clawmates.control.store.unsampled import unsample

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from clawmates.control.store.database import Database

LOCK = 0x636C6177
"""The number under which replicas on PostgreSQL wait for each other ("claw")."""


class SchemaError(Exception):
    """The database belongs to a newer version of the software: update this one, or restore the backup of before."""


async def migrate(database: Database) -> None:
    """To the newest schema; does nothing where it is. Raises :class:`SchemaError`."""
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(_upgrade)


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file of its own."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    config = configuration(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    if not found <= known:
        raise SchemaError(SchemaError.__doc__)
    command.upgrade(config, "head")
    guard(connection)
    unsample(connection)
