"""Looks at a SQLite file, on the spot.

Who reads waits for nobody (SQLite, "Write-Ahead Logging", section 2.2; section 8 names the exceptions: a crash is being
recovered, or the last connection closes), and finds a few rows in memory; a trip to a thread and back costs more than
that. So there is no thread here. Whoever writes may wait for others and for the disk, and goes through one
(:mod:`clawmates.control.store.sqlite`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Dialect
from sqlalchemy.exc import SQLAlchemyError

from clawmates.control.store.look import Found, Question

if TYPE_CHECKING:
    from sqlalchemy import Select

IDLE = 10
"""Connections that are kept open for the next look."""


class LookFailedError(SQLAlchemyError):
    """The database could not be read."""


@dataclass(slots=True)
class _Sql:
    """A question in SQLite's words."""

    text: str
    defaults: Mapping[str, object]
    given: tuple[tuple[str, Callable[[Any], object] | None], ...]
    """By place: the parameter's name, and what makes a value of SQLite's of its value."""
    taken: tuple[tuple[int, Callable[[Any], object]], ...]
    """Places of a row whose values are other ones outside."""

    @classmethod
    def of(cls, statement: Select[*tuple[Any, ...]], dialect: Dialect) -> _Sql:
        """Compiled once; what may differ is bound later."""
        compiled = statement.compile(dialect=dialect)
        given = tuple(
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        )
        taken = (
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(statement.selected_columns)
        )
        return cls(
            compiled.string,
            {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
            given,
            tuple((place, process) for place, process in taken if process is not None),
        )

    def values(self, given: Mapping[str, object]) -> tuple[object, ...]:
        """In the order of the text; raises ``KeyError`` for one that is missing."""
        found = ((given[name] if name in given else self.defaults[name], process) for name, process in self.given)
        return tuple(value if process is None else process(value) for value, process in found)

    def rows(self, raw: list[tuple[object, ...]]) -> list[tuple[object, ...]] | list[list[object]]:
        """With values as they are outside."""
        if not self.taken:
            return raw
        found = [list(row) for row in raw]
        for row in found:
            for place, process in self.taken:
                row[place] = process(row[place])
        return found


@dataclass(slots=True)
class SqliteLooks:
    """Connections of one file that can only read. ``seconds``: how long they wait where a crash is being recovered."""

    path: Path
    dialect: Dialect
    seconds: float
    _idle: list[sqlite3.Connection] = field(default_factory=list)
    _known: dict[Question[Any], _Sql] = field(default_factory=dict)

    def look(self) -> _SqliteLook:
        """A transaction."""
        return _SqliteLook(self)

    def close(self) -> None:
        """Ends those that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def sql(self, question: Question[Any]) -> _Sql:
        """The question in SQLite's words."""
        found = self._known.get(question)
        if found is None:
            found = self._known[question] = _Sql.of(question.statement, self.dialect)
        return found

    def take(self) -> sqlite3.Connection:
        """One to use."""
        if self._idle:
            return self._idle.pop()
        fresh = sqlite3.connect(self.path, timeout=self.seconds, isolation_level=None, check_same_thread=False)
        fresh.execute("PRAGMA query_only=ON")
        return fresh

    def give_back(self, used: sqlite3.Connection) -> None:
        """One that was used."""
        try:
            if used.in_transaction:
                used.execute("COMMIT")
        except sqlite3.Error:
            used.close()
            return
        if len(self._idle) < IDLE:
            self._idle.append(used)
        else:
            used.close()


@dataclass(slots=True)
class _SqliteLook:
    _looks: SqliteLooks
    _connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._looks.give_back(connection)

    async def all(self, question: Question[Found], /, **given: object) -> list[Found]:
        """See :class:`~clawmates.control.store.look.Look`; raises :class:`LookFailedError`."""
        sql, make = self._looks.sql(question), question.make
        try:
            if self._connection is None:
                self._connection = self._looks.take()
                self._connection.execute("BEGIN")
            raw = self._connection.execute(sql.text, sql.values(given)).fetchall()
        except sqlite3.Error:
            raise LookFailedError from None
        return [make(*row) for row in sql.rows(raw)]
