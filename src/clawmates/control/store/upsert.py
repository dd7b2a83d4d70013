"""``INSERT … ON CONFLICT``: the same in both databases, but for whose dialect it is said in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.base import Base


def insert_into(database: AsyncSession, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An insertion that can be told what to do where the row is there already."""
    if database.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - all its drivers' dialects, for whoever uses it

        return postgresql.insert(table)
    return sqlite.insert(table)
