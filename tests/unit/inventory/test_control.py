from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text
from tests.support.control import a_place

from clawmates.inventory.control import CONTROL
from clawmates.inventory.datum import Basis, Datum, Until, Viewer

DECLARED = Counter(column for datum in CONTROL for column in datum.columns)


def columns(connection: Connection) -> set[str]:
    found = inspect(connection)
    return {f"control.{table}.{one['name']}" for table in found.get_table_names() for one in found.get_columns(table)}


async def test_what_the_database_has_is_what_is_declared(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.database.engine.begin() as connection:
        assert await connection.run_sync(columns) == set(DECLARED)
        await connection.execute(text("ALTER TABLE accounts ADD COLUMN shoe_size INTEGER"))
        assert await connection.run_sync(columns) - set(DECLARED) == {"control.accounts.shoe_size"}


def test_each_column_is_declared_once() -> None:
    assert set(DECLARED.values()) == {1}
    assert len({datum.id for datum in CONTROL}) == len(CONTROL)


def test_what_is_about_a_person_ends() -> None:
    with pytest.raises(ValueError, match="ends"):
        Datum(id="x", what="", why="", until=Until.NEVER, basis=Basis.CONTRACT, columns=(), seen_by=(Viewer.OWNER,))
