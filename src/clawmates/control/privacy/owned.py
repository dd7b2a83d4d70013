"""Which rows are a person's: the inventory's columns, asked of the database as they are declared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, func, or_, select

from clawmates.control.store.tables import METADATA
from clawmates.inventory.datum import Datum, Store
from clawmates.inventory.whole import of_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Part:
    """What a datum has in one table."""

    table: Table
    columns: tuple[Column[Any], ...]


@cache
def parts(datum: Datum) -> tuple[Part, ...]:
    """A datum's columns by table, with the key that leads to its row where that is not secret itself."""
    shown = {column for one in of_store(Store.CONTROL) if one.exported for column in one.columns}
    tables = dict.fromkeys(_split(column)[0] for column in datum.columns if column.startswith("control."))
    return tuple(_part(METADATA.tables[name], set(datum.columns), shown) for name in tables)


def whose(table: Table, person: Person) -> ColumnElement[bool] | None:
    """How a table's rows lead to a person; ``None`` where they do not."""
    column, account = table.c, person.account_id
    if table.name == "accounts":
        return column.id == account
    if table.name == "audit_entries":
        return column.subject == person.subject
    if table.name == "links":
        return or_(column.account_id == account, column.email == person.email)
    if "account_id" in column:
        return column.account_id == account
    if "bot_id" in column:
        bots = METADATA.tables["bots"]
        return column.bot_id.in_(select(bots.c.id).where(bots.c.account_id == account))
    return None


async def rows(session: AsyncSession, part: Part, person: Person) -> AsyncIterator[list[dict[str, Any]]]:
    """All of a person's by their keys, :data:`AT_ONCE` at a time; raises ``LookupError`` where they are nobody's."""
    mine = whose(part.table, person)
    if mine is None:
        raise LookupError(part.table.name)
    wanted = select(*part.columns).where(mine).order_by(*part.table.primary_key)
    found = await session.stream(wanted.execution_options(yield_per=AT_ONCE))
    async for some in found.mappings().partitions():
        yield [dict(row) for row in some]


async def newest(session: AsyncSession, part: Part, person: Person, most: int) -> list[dict[str, Any]]:
    """The last of them by their keys, at most so many."""
    mine = whose(part.table, person)
    if mine is None:
        return []
    wanted = select(*part.columns).where(mine).order_by(*(one.desc() for one in part.table.primary_key)).limit(most)
    return [dict(row) for row in (await session.execute(wanted)).mappings()]


async def count(session: AsyncSession, part: Part, person: Person) -> int | None:
    """How many; ``None`` where nothing leads to anybody."""
    mine = whose(part.table, person)
    if mine is None:
        return None
    return await session.scalar(select(func.count()).select_from(part.table).where(mine)) or 0


def _part(table: Table, wanted: set[str], shown: set[str]) -> Part:
    def has(column: Column[Any]) -> bool:
        written = f"control.{table.name}.{column.name}"
        return written in wanted or (column.primary_key and written in shown)

    return Part(table, tuple(column for column in table.c if has(column)))


def _split(column: str) -> tuple[str, str]:
    _, table, name = column.split(".")
    return table, name
