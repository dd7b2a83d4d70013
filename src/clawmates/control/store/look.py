"""What pages ask again and again: questions whose SQL is made once, and answers without a session's ceremony.

A look is one transaction that changes nothing and sees one moment. What is found are rows that belong to no session and
cannot be changed. :mod:`clawmates.control.store.sqlite_look` has SQLite's way; here is every other
database's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy import Select, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clawmates.control.store.base import Base

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

Found = TypeVar("Found")
Row = TypeVar("Row", bound=Base)


@dataclass(frozen=True, slots=True, eq=False)
class Question(Generic[Found]):
    """``statement`` has a ``bindparam`` for all that differs; ``make`` is given a row's values, in their order."""

    statement: Select[*tuple[Any, ...]]
    make: Callable[..., Found]


def rows(table: type[Row], narrowed: Callable[[Select[*tuple[Any, ...]]], Select[*tuple[Any, ...]]]) -> Question[Row]:
    """Asks for whole rows of one table: ``rows(Bot, lambda wanted: wanted.where(Bot.id == bindparam("bot")))``."""
    columns = inspect(table).columns
    names = tuple(columns.keys())

    def make(*values: object) -> Row:
        # Without SQLAlchemy's own record of its state, which costs twenty times as much and is for those who write.
        row = table.__new__(table)
        row.__dict__.update(zip(names, values, strict=True))
        return row

    return Question(narrowed(select(*columns)), make)


class Look(Protocol):
    """One moment of the database."""

    async def all(self, question: Question[Found], /, **given: object) -> list[Found]:
        """Everything that answers; ``given`` fills the question's parameters."""


Looking = Callable[[], AbstractAsyncContextManager[Look]]


async def first(look: Look, question: Question[Found], /, **given: object) -> Found | None:
    """The first of the answers."""
    found = await look.all(question, **given)
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _EngineLook:
    connection: AsyncConnection

    async def all(self, question: Question[Found], /, **given: object) -> list[Found]:
        """See :class:`Look`."""
        return [question.make(*row) for row in await self.connection.execute(question.statement, given)]


def engine_looks(engine: AsyncEngine) -> Looking:
    """Looks through an engine's own connections."""

    @asynccontextmanager
    async def look() -> AsyncIterator[Look]:
        async with engine.connect() as connection:
            yield _EngineLook(connection)

    return look
