"""What the files hold of somebody who was deleted: bytes are read, not rows, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from tests.support import control
from tests.support.erasing import Furnished, Stage, a_stage, counted, database_bytes, furnish
from tests.support.postgresql import Server

from clawmates.control.accounts.links import Purpose
from clawmates.control.erasure import rows
from clawmates.control.mail.errands import KIND as MAIL
from clawmates.control.mail.errands import Wanted, ask
from clawmates.control.mail.notices import KIND as NOTICE
from clawmates.control.mail.notices import Notice, Told, tell
from clawmates.control.outbox.tables import Errand
from clawmates.control.store import scrub
from clawmates.control.store.database import Database
from clawmates.control.store.tables import METADATA
from clawmates.wire.erasure import Log

pytestmark = pytest.mark.raw
POSTGRESQL = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
STRICT = ("wal_recycle = off", "full_page_writes = on")
"""What an operator sets so that the log can be emptied; and images of whole pages are in it, as everywhere."""


@pytest.fixture(autouse=True)
def strict(engine: None, request: pytest.FixtureRequest) -> None:
    if control.elsewhere is not None:
        server = request.getfixturevalue("server")
        for one in STRICT:
            server.tell(f"ALTER SYSTEM SET {one}")
        server.tell("SELECT pg_reload_conf()")


async def life(stage: Stage) -> Furnished:
    """Somebody among others, whose row has been written more than once, and whom the planner has been told of."""
    ada = await furnish(stage.place)
    for _ in range(20):
        await furnish(stage.place, node=None)
    async with stage.place.database.writing() as session:
        await session.execute(text("UPDATE accounts SET plan = 'other'"))
        await session.execute(text("ANALYZE"))
    return ada


async def leave(stage: Stage, ada: Furnished) -> None:
    await stage.ask(ada.account)
    await stage.node_says()
    await stage.work()
    assert set((await counted(stage.place, ada.account)).values()) == {0}
    assert (await stage.erasure()).receipt


OLD, NEVER = "ada-before@example.net", "ada-mistyped@example.net"


async def waiting_mails(stage: Stage, account: str) -> None:
    """To an address that was the account's before, and to one that never became it: a mail server has been away."""
    context = stage.place.context
    later = timedelta(hours=12)
    async with stage.place.database.writing() as session:
        await tell(session, context, Told(notice=Notice.ADDRESS_CHANGED, email=OLD, language="en", account_id=account))
        wanted = Wanted(purpose=Purpose.CHANGE_NEW, email=NEVER, language="en", account_id=account)
        await ask(session, context, wanted)
        mails = update(Errand).where(Errand.lane.startswith("mail/"))
        await session.execute(mails.values(due_at=stage.place.clock.now() + later))


async def test_no_mail_waits_for_them_under_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_stage(tmp_path) as stage:
        ada, eve = await furnish(stage.place, node=None), await furnish(stage.place, node=None)
        for one in (ada, eve):
            await waiting_mails(stage, one.account)
        await leave(stage, ada)
        async with stage.place.database.reading() as session:
            left = list(await session.scalars(select(Errand.body).where(Errand.kind.in_([NOTICE, MAIL]))))
        assert (len(left), [one for one in left if eve.account not in one]) == (2, [])
    async with a_stage(tmp_path / "weakened") as stage:
        monkeypatch.setattr(rows, "_mails", nothing)
        ada = await furnish(stage.place, node=None)
        await waiting_mails(stage, ada.account)
        await leave(stage, ada)
        left_over = database_bytes(tmp_path / "weakened")
        assert [one for one in (OLD, NEVER) if one.encode() in left_over] == [OLD, NEVER]


async def test_no_byte_of_them_is_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await life(stage)
        before = await counted(stage.place, ada.account)
        assert min(before.values()) >= 1, before
        assert ada.left_in(database_bytes(tmp_path)) == sorted(ada.marks), "they would be found"
        eve = await furnish(stage.place, node=None)
        await leave(stage, ada)
        kept = database_bytes(tmp_path)
        assert ada.left_in(kept) == []
        assert eve.left_in(kept) == sorted(eve.marks), "of others nothing was lost"
        assert ada.left_in("".join(capfd.readouterr()).encode()) == []
        said = (await stage.erasure()).receipt
        assert f'"log":"{Log.EMPTIED.value}"' in said
        assert ada.left_in(said.encode()) == []


def only(*lines: str) -> Callable[[str], None]:
    def rewrite(path: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        for line in lines:
            connection.execute(line).fetchall()
        connection.close()

    return rewrite


async def nothing_to_empty(_connection: object) -> bool:
    return True


async def no_vacuum(database: Database, patch: pytest.MonkeyPatch) -> None:
    """The log is emptied, and nothing is written anew; SQLite is opened as most people do it."""
    patch.setattr(scrub, "NUMBERS_ALONE", frozenset(METADATA.tables))
    patch.setattr(scrub, "_rewrite", only("PRAGMA wal_checkpoint(TRUNCATE)"))
    if database.engine.dialect.name == "sqlite":

        @event.listens_for(database.engine.sync_engine, "connect")
        def careless(connection: Any, _record: object) -> None:
            connection.cursor().execute("PRAGMA secure_delete=OFF")

        await database.engine.dispose()


async def no_checkpoint(_database: Database, patch: pytest.MonkeyPatch) -> None:
    """All is written anew, and the log stays."""
    patch.setattr(scrub, "_rewrite", only("VACUUM"))
    patch.setattr(scrub, "_empty_log", nothing_to_empty)


async def nothing(*_: object) -> list[str]:
    return []


@pytest.mark.parametrize("weaken", [no_vacuum, no_checkpoint])
async def test_a_build_that_leaves_some_is_found_out(
    weaken: Callable[[Database, pytest.MonkeyPatch], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await life(stage)
        await weaken(stage.place.database, monkeypatch)
        await leave(stage, ada)
        assert ada.left_in(database_bytes(tmp_path)) != []


@pytest.mark.sqlite_alone
async def test_a_build_that_forgets_errands_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_lanes", nothing)
    monkeypatch.setattr(rows, "lane_of", lambda *_: "none")
    async with a_stage(tmp_path) as stage:
        ada = await life(stage)
        await leave(stage, ada)
        assert {one.partition(" ")[0] for one in ada.left_in(database_bytes(tmp_path))} == {"errands.body"}


@POSTGRESQL
async def test_a_log_that_control_may_not_empty_is_called_left(tmp_path: Path, server: Server) -> None:
    server.tell("ALTER SYSTEM SET wal_recycle = on")
    server.tell("SELECT pg_reload_conf()")
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        await leave(stage, ada)
        assert f'"log":"{Log.LEFT.value}"' in (await stage.erasure()).receipt


@POSTGRESQL
@pytest.mark.usefixtures("server")
async def test_what_an_older_snapshot_still_sees_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a dump that runs meanwhile has one: a table that is written anew takes along what it may look at."""
    monkeypatch.setattr(scrub, "SNAPSHOT_SECONDS", 0.2)
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        async with stage.place.database.engine.connect() as plain:
            old = await plain.execution_options(isolation_level="REPEATABLE READ")
            await old.execute(text("SELECT count(*) FROM accounts"))
            await stage.ask(ada.account)
            await stage.node_says()
            worker = stage.worker()
            for _ in range(6):
                await worker.round()
                stage.place.clock.forward(seconds=61)
            assert await stage.waiting() == [("erase-bytes", "database-busy")]
        await stage.work()
        assert ada.left_in(database_bytes(tmp_path)) == []
