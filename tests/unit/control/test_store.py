from __future__ import annotations

import asyncio
import sqlite3
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, delete, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError, StatementError
from tests.support.control import NOON, Place, a_place

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.accounts.tables import Account
from clawmates.control.store import upgrade
from clawmates.control.store.base import Moment
from clawmates.control.store.database import FILE, DatabaseError, open_database
from clawmates.control.store.look import Question, rows
from clawmates.control.store.migrate import SchemaError, migrate
from clawmates.control.store.migrations import revisions
from clawmates.control.store.sqlite_look import SqliteLooks
from clawmates.control.store.tables import METADATA


def account(**fields: object) -> Account:
    known: dict[str, object] = {
        "id": "a-1",
        "email": "ada@example.org",
        "language": "en",
        "plan": "free",
        "created_at": NOON,
        "pseudonym_key": b"k" * 32,
    }
    return Account(**(known | fields))


async def test_the_migrations_lead_to_what_the_tables_say(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.database.engine.begin() as connection:

        def differences(one: Connection) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(one, opts={"compare_type": True}), METADATA))

        assert await connection.run_sync(differences) == []
        await connection.execute(text("ALTER TABLE bots ADD COLUMN note TEXT"))
        assert len(await connection.run_sync(differences)) == 1


async def test_a_newer_schema_is_refused_and_migrating_twice_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = ScriptDirectory.from_config(upgrade.configuration())
    assert [one.revision for one in scripts.walk_revisions()][::-1] == revisions()
    async with a_place(tmp_path) as place:
        # Not even Alembic is asked for what is there already.
        monkeypatch.setitem(sys.modules, upgrade.__name__, None)
        await migrate(place.database)
        async with place.database.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(SchemaError, match="newer version"):
            await migrate(place.database)


async def test_a_pulse_tells_of_what_was_committed_and_of_nothing_else(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.database.pulse() as pulse:
        beats = [await pulse.beat()]
        async with place.database.reading() as session:
            assert (await session.scalars(select(Account))).all() == []
            assert await pulse.beat() == beats[0]
        async with place.database.writing() as session:
            session.add(account())
            await session.flush()
            beats.append(await pulse.beat())
        beats.append(await pulse.beat())
        assert beats[2] not in beats[:2]
        assert await pulse.beat() == beats[2]
        async with place.database.pulse() as another, place.database.writing() as session:
            await another.beat()
            await session.execute(delete(Account))
        assert await pulse.beat() != beats[2]


async def test_moments_come_back_in_utc_and_naive_ones_do_not_go_in(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        paris = NOON.astimezone(timezone(timedelta(hours=1)))
        async with place.database.writing() as session:
            session.add(account(created_at=paris))
        async with place.database.reading() as session:
            found = (await session.scalars(select(Account))).one()
        assert found.created_at == NOON
        assert found.created_at.utcoffset() == timedelta()
        with pytest.raises(StatementError, match="without a time zone"):
            async with place.database.writing() as session:
                session.add(account(id="a-2", email="b@example.org", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001


async def twice(place: Place) -> None:
    async with place.database.writing() as session:
        session.add(account())
        await session.flush()
        session.add(account(id="a-2"))


async def test_what_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        with pytest.raises(IntegrityError):
            await twice(place)
        async with place.database.reading() as session:
            assert (await session.scalars(select(Account))).all() == []


@pytest.mark.parametrize(
    "address",
    [
        "mysql://h/d",
        "postgresql://h",
        "postgresql:///d",
        "postgresql://u:secret@h/d",
        "postgresql://u@h/d?sslmode=disable",
    ],
)
def test_an_address_with_a_password_or_without_a_name_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refused:
        open_database(Control(database=address), State(tmp_path))
    assert "secret" not in str(refused.value)


async def test_what_is_given_up_on_halfway_is_rolled_back_and_blocks_nobody(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:

        async def write_and_wait(written: asyncio.Event) -> None:
            async with place.database.writing() as session:
                session.add(account())
                await session.flush()
                written.set()
                await asyncio.Event().wait()

        written = asyncio.Event()
        task = asyncio.create_task(write_and_wait(written))
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with place.database.writing() as session:
            assert (await session.scalars(select(Account))).all() == []
            session.add(account(id="a-2"))


@pytest.mark.sqlite_alone
async def test_a_statement_and_its_rows_are_one_trip_to_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[object] = []
    real: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, work: object, *rest: object) -> object:
        trips.append(work)
        return await real(self, work, *rest)

    async with a_place(tmp_path) as place:
        async with place.database.reading() as session:
            await session.scalars(select(Account))
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        async with place.database.reading() as session:
            await session.scalars(select(Account))
        assert len(trips) == 2  # with its BEGIN; and COMMIT
        trips.clear()
        async with place.database.writing() as session:
            session.add(account())
            await session.flush()
            (await session.get_one(Account, "a-1")).language = "de"
            await session.flush()
            assert len(trips) == 1  # whose turn it is waits for nobody until its commit
            await session.execute(delete(Account))
        assert len(trips) == 3


async def test_a_look_sees_one_moment_and_changes_nothing(tmp_path: Path) -> None:
    mine = rows(Account, lambda wanted: wanted.where(Account.created_at <= bindparam("now", type_=Moment)))
    async with a_place(tmp_path) as place:
        async with place.database.writing() as session:
            session.add(account())
        async with place.database.look() as look:
            (found,) = await look.all(mine, now=NOON)
            assert (found.id, found.created_at, found.pseudonym_key) == ("a-1", NOON, b"k" * 32)
            with pytest.raises(AttributeError):
                found.email = "eve@example.org"
            async with place.database.writing() as session:
                session.add(account(id="a-2", email="b@example.org"))
            assert await look.all(mine, now=NOON - timedelta(seconds=1)) == []
        async with place.database.look() as look:
            assert sorted(one.email for one in await look.all(mine, now=NOON)) == ["ada@example.org", "b@example.org"]


@pytest.mark.sqlite_alone
async def test_a_look_at_sqlite_makes_no_trip_cannot_write_and_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = rows(Account, lambda wanted: wanted)
    async with a_place(tmp_path) as place:
        monkeypatch.setattr(aiosqlite.Connection, "_execute", None)
        async with place.database.look() as look:
            assert await look.all(every) == []
        monkeypatch.undo()
        with pytest.raises(SQLAlchemyError) as failed:
            async with place.database.look() as look:
                await look.all(Question(select(text("secret FROM nowhere")), str))
        assert "secret" not in str(failed.value)
        inside = SqliteLooks(State(tmp_path).control / FILE, place.database.engine.dialect, 1).take()
        with pytest.raises(sqlite3.OperationalError):
            inside.execute("DELETE FROM accounts")
        inside.close()


@pytest.mark.sqlite_alone
async def test_writers_take_turns_and_who_has_not_written_yet_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, order = 0, []

    async def write(place: Place, number: int) -> None:
        nonlocal busy
        async with place.database.writing() as session:
            session.add(account(id=f"a-{number}", email=f"{number}@example.org"))
            await session.flush()
            busy += 1
            assert busy == 1
            order.append(number)
            await asyncio.sleep(0)
            busy -= 1

    async with a_place(tmp_path) as place, place.database.writing() as idle, asyncio.TaskGroup() as group:
        tasks = [group.create_task(write(place, number)) for number in range(8)]
        await asyncio.wait(tasks)
        assert sorted(order) == list(range(8))
        assert (await idle.scalars(select(Account))).all() != []
        late = group.create_task(write(place, 8))
        await asyncio.sleep(0)
        monkeypatch.setattr("clawmates.control.store.sqlite.BUSY_SECONDS", 0.01)
        with pytest.raises(OperationalError):
            await write(place, 9)
        late.cancel()


async def test_who_gives_up_waiting_for_its_turn_blocks_nobody(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        async with place.database.writing() as first:
            first.add(account())
            await first.flush()
            waiting = asyncio.create_task(twice(place))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with place.database.writing() as next_one:
            next_one.add(account(id="a-2", email="b@example.org"))
