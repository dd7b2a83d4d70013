"""Opening the database: SQLite by default, PostgreSQL by address, always TLS 1.3 and ``verify-full``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from sqlalchemy import URL, event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as QueryTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from clawmates.control.store import sqlite
from clawmates.control.store.look import Looking, engine_looks
from clawmates.control.store.pulse import EnginePulse, Pulse, SqlitePulse
from clawmates.control.store.sqlite_look import LookFailedError, SqliteLooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    import sqlalchemy
    from sqlalchemy.orm import Session

    from clawmates.base.paths import State
    from clawmates.base.settings import Control

FILE = "control.db"
POOL = 10
AWAY = (OperationalError, InterfaceError, QueryTimeout, LookFailedError)
"""What a database raises that is not there, is full, or is kept busy by others; what was asked has not been done.

But for a commit whose answer was lost: then nobody knows, and what is done again must be seen to be done already.
"""
WRITES = "clawmates_writes"
_LAST = "last"


class DatabaseError(Exception):
    """The database's address cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One engine, and three ways to a transaction: ``async with database.writing() as session: …`` commits at its end.

    ``reading`` is for what changes nothing: on SQLite it waits for nobody, while only one at a time writes. ``look`` is
    for what is asked at every page: it takes ready questions only, and is many times cheaper.
    """

    engine: AsyncEngine
    look: Looking
    pulse: Callable[[], Pulse]
    """Beats of its own for whoever wants to know whether there is anything to read."""
    _read: async_sessionmaker[AsyncSession]
    _write: async_sessionmaker[AsyncSession]
    _close: Callable[[], None]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One transaction that sees one moment."""
        async with self._read() as session, session.begin():
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction, committed at the end of the block and rolled back by any exception."""
        async with self._write() as session, session.begin():
            session.info[_LAST] = []
            yield session
            await session.flush()
            for work in last_of(session):
                await work(session)

    async def close(self) -> None:
        """Ends all connections."""
        self._close()
        await self.engine.dispose()


def last_of(session: AsyncSession) -> list[Callable[[AsyncSession], Awaitable[None]]]:
    """What is done just before the commit; raises ``LookupError`` for a session that only reads."""
    last: list[Callable[[AsyncSession], Awaitable[None]]] = session.info[_LAST]
    return last


async def check_logs(database: Database) -> None:
    """Raises :class:`DatabaseError` where the server's log may hold what is written into its tables.

    By default PostgreSQL logs the values of a row that violates a constraint as DETAIL, and, where it logs statements,
    their parameters in the same way; TERSE leaves DETAIL out (PostgreSQL 15, "log_error_verbosity"). Ours are in no
    statement's text.
    """
    if database.engine.dialect.name != "postgresql":
        return
    async with database.reading() as session:
        found = await session.scalar(text("SHOW log_error_verbosity"))
    if found != "terse":
        raise DatabaseError(
            "PostgreSQL may write what is in its tables into its log: as its administrator,"
            " ALTER ROLE … SET log_error_verbosity = terse, for the role in [control] database"
        )


def after_commit(session: AsyncSession, work: Callable[[], None]) -> None:
    """Does ``work`` once the transaction is committed; never, where it is not."""

    def committed(_session: Session) -> None:
        work()

    event.listen(session.sync_session, "after_commit", committed, once=True)


def open_database(settings: Control, state: State) -> Database:
    """Connects at the first use. Raises :class:`DatabaseError` for an address that cannot be used."""
    if not settings.database:
        path = state.control / FILE
        engine = _sqlite(path)
        looks = SqliteLooks(path, engine.dialect, sqlite.BUSY_SECONDS)
        return _database(engine, looks.look, lambda: SqlitePulse(looks), looks.close)
    parts = urlsplit(settings.database)
    if parts.scheme != "postgresql" or not parts.hostname or not parts.path.strip("/"):
        raise DatabaseError("[control] database is not postgresql://USER@HOST:PORT/NAME")
    if parts.password is not None or parts.query:
        raise DatabaseError(
            "[control] database holds a password or options: name a file in database_password_file instead"
        )
    url = URL.create(
        "postgresql+psycopg",
        username=parts.username,
        host=parts.hostname,
        port=parts.port or 5432,
        database=parts.path.strip("/"),
    )
    engine = _postgresql(url, settings, state)
    return _database(engine, engine_looks(engine), lambda: EnginePulse(engine), lambda: None)


def _sqlite(path: Path) -> AsyncEngine:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        # The driver begins no transaction by itself; we do, below (SQLAlchemy, "Serializable isolation" of pysqlite).
        # A connection is used by one at a time, from its thread or from ours (clawmates.control.store.sqlite).
        connect_args={"timeout": sqlite.BUSY_SECONDS, "isolation_level": None, "check_same_thread": False},
        hide_parameters=True,
        pool_size=POOL,
        pool_timeout=sqlite.BUSY_SECONDS,
        module=sqlite.Driver(),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # What is deleted is overwritten; the write-ahead log lets readers read while one writes.
        for line in ("journal_mode=WAL", "foreign_keys=ON", "secure_delete=ON", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {line}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sqlalchemy.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        inside = cast(sqlite.Connection, connection.connection.dbapi_connection)
        inside.to_begin = sqlite.WRITES if writes else sqlite.READS

    return engine


def _postgresql(url: URL, settings: Control, state: State) -> AsyncEngine:
    # libpq's parameters (PostgreSQL 15, "Parameter Key Words"); the environment's and ~/.pgpass take no part.
    arguments: dict[str, Any] = {
        "sslmode": "verify-full",
        "ssl_min_protocol_version": "TLSv1.3",
        "sslrootcert": settings.database_authority or "system",
        "gssencmode": "disable",
        # A file that is not there is no file; of /dev/null libpq complains aloud.
        "passfile": str(state.control / "no-passwords"),
        "connect_timeout": 5,
        # A server that is cut off without a word is given up on in seconds, not after the kernel's quarter of an hour.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        # A replica that stands still in a transaction keeps nobody waiting for longer than this (milliseconds).
        "options": "-c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000",
        "application_name": "clawmates-control",
    }
    certificate, key = state.identity("control")
    if certificate.exists():
        arguments |= {"sslcert": str(certificate), "sslkey": str(key)}
    try:
        engine = create_async_engine(
            url,
            connect_args=arguments,
            hide_parameters=True,
            pool_size=POOL,
            pool_timeout=sqlite.BUSY_SECONDS,
            pool_pre_ping=True,
        )
    except ImportError:
        raise DatabaseError("PostgreSQL's own library is not here: apt-get install libpq5") from None
    if settings.database_password_file:
        path = Path(settings.database_password_file)

        @event.listens_for(engine.sync_engine, "do_connect")
        def _password(_dialect: object, _record: object, _cargs: object, cparams: dict[str, Any]) -> None:
            cparams["password"] = path.read_text().strip()

    return engine


def _database(engine: AsyncEngine, look: Looking, pulse: Callable[[], Pulse], close: Callable[[], None]) -> Database:
    writer = engine.execution_options(**{WRITES: True})
    return Database(
        engine=engine,
        look=look,
        pulse=pulse,
        _read=async_sessionmaker(engine, expire_on_commit=False),
        _write=async_sessionmaker(writer, expire_on_commit=False),
        _close=close,
    )
