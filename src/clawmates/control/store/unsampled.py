"""PostgreSQL keeps samples of what stands in columns, for its planner: of people's words it shall keep none.

ANALYZE writes the most common values and a histogram of whole values into ``pg_statistic``, which no deletion of ours
reaches. A target of 0 stops it (PostgreSQL 15, "ALTER TABLE", SET STATISTICS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary, String, text

from clawmates.control.store.scrub import NUMBERS_ALONE
from clawmates.control.store.tables import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Connection

_SAMPLED = """SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0
AND attstattarget <> 0"""


def words() -> Iterator[Column[object]]:
    """Columns that may hold what a person has written, or is known by."""
    for table in METADATA.sorted_tables:
        if table.name not in NUMBERS_ALONE:
            yield from (one for one in table.columns if isinstance(one.type, String | LargeBinary))


def unsample(connection: Connection) -> None:
    """Where it is not so already; each replica calls it when it starts."""
    if connection.dialect.name != "postgresql":
        return
    for table in sorted({column.table.name for column in words()}):
        sampled = set(connection.scalars(text(_SAMPLED), {"table": table}))
        for column in words():
            if column.table.name == table and column.name in sampled:
                connection.execute(text(f'ALTER TABLE "{table}" ALTER COLUMN "{column.name}" SET STATISTICS 0'))
