"""Whether anybody has committed anything since one last asked: a question that costs next to nothing.

Several replicas write into one database, and SQLite has nobody who calls. So they ask, many times a second, and this is
what they ask: on SQLite a number in shared memory (``PRAGMA data_version``), on PostgreSQL which transactions are
visible (``pg_current_snapshot``, PostgreSQL 15, 9.26: it changes with each that has written and ended). Neither opens a
table. What has changed, a pulse does not say.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from clawmates.control.store.sqlite_look import LookFailedError, SqliteLooks

if TYPE_CHECKING:
    from typing import Self

_SNAPSHOT = text("SELECT CAST(pg_current_snapshot() AS text)")


class Pulse(Protocol):
    """One connection of its own, made at the first beat and again after a failure; a block closes it."""

    async def beat(self) -> object:
        """Differs from the last one where anything was committed since. Raises one of ``database.AWAY``."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


@dataclass(slots=True)
class SqlitePulse:
    """Beats of one file."""

    looks: SqliteLooks
    _connection: sqlite3.Connection | None = None
    _life: int = 0
    """The number of one connection means nothing to another."""

    async def beat(self) -> object:
        """See :meth:`Pulse.beat`."""
        try:
            if self._connection is None:
                self._connection, self._life = self.looks.take(), self._life + 1
            return self._life, self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self._drop()
            raise LookFailedError from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(slots=True)
class EnginePulse:
    """Beats of a PostgreSQL, through one of its engine's connections."""

    engine: AsyncEngine
    _connection: AsyncConnection | None = None

    async def beat(self) -> object:
        """See :meth:`Pulse.beat`."""
        try:
            if self._connection is None:
                # No transaction is kept open between two beats: each statement sees what was committed before it.
                alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
                self._connection = await alone.connect()
            return await self._connection.scalar(_SNAPSHOT)
        except (SQLAlchemyError, OSError):
            await self._drop()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.close()
