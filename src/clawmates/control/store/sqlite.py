"""SQLite with as few trips to its thread as there are statements.

A connection of aiosqlite lives in a thread. SQLAlchemy goes there once to open a cursor, once to execute, once to fetch
and once to close it, as often to begin, and once more to roll back what has already ended; each trip costs more than
the query. Here a statement with its rows is one trip, a transaction begins with its first statement, and what is not
open is not rolled back.

SQLite has one writer at a time, and who finds another one tries again after a while, whoever came first. So our own
writers queue here, each for the moment of its first statement: nobody is passed by, and nobody sleeps. Only writers of
another process are still waited for in SQLite's way.

Whose turn it is waits for nobody any more until its commit, which waits for the disk: what it says in between is said
on the spot, but for what may take long.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import EMPTY_DICT
from sqlalchemy.util.concurrency import await_

if TYPE_CHECKING:
    from collections.abc import Callable


BUSY_SECONDS = 5.0
"""How long a writer waits for others, of this process and of another replica's."""
READS, WRITES = "BEGIN DEFERRED", "BEGIN IMMEDIATE"
"""What a transaction begins with. A reader that becomes a writer halfway is refused at once: it is said first."""


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """Holds a statement's result; there is no cursor of the database behind it any more."""

    __slots__ = ("_found",)

    def __init__(self, adapt_connection: Connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # noqa: SLF001 - as the class that this one is made from does
        self._soft_closed_memoized = EMPTY_DICT
        self._rows = deque()
        self._found: tuple[Any, int, int] = (None, -1, 0)

    @property
    def description(self) -> Any:
        """See PEP 249."""
        return self._found[0]

    @property
    def rowcount(self) -> int:
        """See PEP 249."""
        return self._found[1]

    @property
    def lastrowid(self) -> int:
        """See PEP 249."""
        return self._found[2]

    def execute(self, operation: Any, parameters: Any = None) -> None:
        """With all rows."""
        may_take_long = operation.startswith("DELETE")  # all that has come to its end, overwritten
        self._go(lambda inside: inside.execute(operation, parameters or ()), at_once=not may_take_long)

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        """One trip."""
        self._go(lambda inside: inside.executemany(operation, seq_of_parameters), at_once=False)

    def close(self) -> None:
        """Forgets the rows."""
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        pass

    def _go(self, statement: Callable[[sqlite3.Connection], sqlite3.Cursor], *, at_once: bool) -> None:
        connection = cast(Connection, self._adapt_connection)
        begin, connection.to_begin = connection.to_begin, ""
        try:
            if begin == WRITES:
                await_(connection.take_turn())
            work = partial(_work, connection.inside, begin, statement)
            if at_once and connection.writes and not begin and not connection.unsure:
                found = await_(_at_once(work))
            else:
                connection.unsure = True  # stays so when we are cancelled while the thread goes on
                found = await_(self._travel(work))
        except Exception as error:  # noqa: BLE001 - the one place that says which of them are the database's
            connection.unsure = False
            connection._handle_exception(error)  # noqa: SLF001
        connection.unsure = False
        self._found, self._rows = found

    async def _travel(self, work: Callable[[], Any]) -> Any:
        return await cast(Any, self._connection)._execute(work)  # noqa: SLF001 - the only door to its thread


async def _at_once(work: Callable[[], Any]) -> Any:
    """On the spot, but awaited: SQLAlchemy takes a driver in which nothing is awaited for one that blocks."""
    return work()


def _work(
    inside: sqlite3.Connection, begin: str, statement: Callable[[sqlite3.Connection], sqlite3.Cursor]
) -> tuple[tuple[Any, int, int], deque[Any]]:
    """In the connection's thread, or on the spot."""
    if begin:
        inside.execute(begin)
    cursor = statement(inside)
    rows = deque(cursor.fetchall() if cursor.description else ())
    found = (cursor.description, cursor.rowcount, cursor.lastrowid or 0)
    cursor.close()
    return found, rows


class Connection(AsyncAdapt_aiosqlite_connection):
    """``to_begin`` is what the next statement begins its transaction with, or nothing.

    ``unsure``: a statement was given up on, and nobody knows how far it came. ``writes``: it is this one's turn.
    """

    __slots__ = ("to_begin", "unsure", "writes")
    _cursor_cls = cast(type[AsyncAdapt_aiosqlite_cursor], Cursor)

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.to_begin = ""
        self.unsure = False
        self.writes = False

    async def take_turn(self) -> None:
        """Waits until no other writer of this process is at work; raises what SQLite would after as long a wait."""
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await cast(Driver, self.dbapi).turn.acquire()
        except TimeoutError:
            raise sqlite3.OperationalError("database is locked") from None
        self.writes = True

    def _end_turn(self) -> None:
        if self.writes:
            self.writes = False
            cast(Driver, self.dbapi).turn.release()

    @property
    def inside(self) -> sqlite3.Connection:
        """The connection in its thread."""
        return cast(sqlite3.Connection, cast(Any, self._connection)._conn)  # noqa: SLF001

    def commit(self) -> None:
        """Nothing where no statement has begun anything."""
        self.to_begin = ""
        if self.inside.in_transaction:
            super().commit()
        self._end_turn()

    def rollback(self) -> None:
        """Nothing where nothing is open: the pool rolls back whatever it takes in."""
        self.to_begin = ""
        try:
            if self._connection._connection and (self.unsure or self.inside.in_transaction):  # noqa: SLF001
                super().rollback()
                self.unsure = False
        finally:
            self._end_turn()

    def close(self) -> None:
        """Ends its turn, too."""
        try:
            super().close()
        finally:
            self._end_turn()

    def terminate(self) -> None:
        """See above."""
        try:
            super().terminate()
        finally:
            self._end_turn()


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """What SQLAlchemy takes for the driver's module."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)
        self.turn = asyncio.Lock()
        """Held by the one that writes; it is given to who has waited longest."""

    def connect(self, *args: Any, **options: Any) -> Connection:
        """See PEP 249."""
        return Connection(self, super().connect(*args, **options)._connection)  # noqa: SLF001
