"""A control of a test's own: a database on disk, a clock that stands, and its pages without a network."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import httpx2
from fastapi import APIRouter

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.settings import Control, Mode, Platform, Settings
from clawmates.control.accounts import people, sessions
from clawmates.control.audit import chain
from clawmates.control.bots.tables import Bot
from clawmates.control.context import Context
from clawmates.control.erasure import tombstones
from clawmates.control.erasure.tombstones import Tombstones
from clawmates.control.hub import Hub
from clawmates.control.nodes.tables import Node
from clawmates.control.store.database import FILE, Database, open_database
from clawmates.control.store.migrate import migrate
from clawmates.control.vault import VaultLine
from clawmates.control.web import build_web
from clawmates.wire.release import Release
from clawmates.wire.vault_client import VaultClient

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
OPERATED = Control(
    controller="Example Ltd, 1 Example Street, Example Town", hosting="Example Hosting, Frankfurt am Main"
)
"""By somebody who has said who they are."""


@dataclass
class StandingClock:
    """Moves when it is told to."""

    moment: datetime = NOON
    leapt: timedelta = timedelta()
    """By how much it was put forward, or back: no time goes by with that."""

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - NOON - self.leapt).total_seconds()

    def forward(self, **span: float) -> None:
        self.moment += timedelta(**span)

    def leap(self, **span: float) -> None:
        self.leapt += timedelta(**span)
        self.forward(**span)


@dataclass
class Counted:
    """Random bytes that are never the same twice, and the same in every run."""

    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __call__(self, size: int) -> bytes:
        return next(self._count).to_bytes(size, "big")


@dataclass
class Place:
    """``context`` may be replaced before :meth:`browser` is called."""

    context: Context
    clock: StandingClock
    rooms: tuple[APIRouter, ...] = ()
    address: str = "203.0.113.5"
    """Where browsers come from."""
    asked: list[str] = field(default_factory=list)
    """What a server of the test's own was asked: targets and headers."""

    @property
    def database(self) -> Database:
        return self.context.database

    @asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
        """One browser with its own cookies; it says where its forms come from, as browsers do."""
        transport = httpx2.ASGITransport(
            build_web(self.context, self.rooms), raise_app_exceptions=False, client=(self.address, 40_000)
        )
        origin = {"Origin": self.context.origin, "Accept-Language": "en"}
        async with httpx2.AsyncClient(
            transport=transport, base_url=self.context.origin, headers=origin | headers, trust_env=False
        ) as client:
            yield client


async def signed_in(place: Place, browser: httpx2.AsyncClient, email: str = "ada@example.org") -> str:
    """Signs the browser in without a mail, and makes the account where there is none; returns the account's id."""
    context, now = place.context, place.clock.now()
    async with place.database.writing() as database:
        account = await people.of_email(database, email)
        if account is None:
            account = await people.open_account(database, context.random, email, "en", now)
        token = await sessions.start(database, context.random, account.id, "Firefox, Linux", now)
        # As a browser files what the host itself has set (RFC 2965 calls a host without a dot so).
        browser.cookies.set(sessions.COOKIE, token, domain="localhost.local")
        return account.id


@asynccontextmanager
async def a_place(
    folder: Path,
    *rooms: APIRouter,
    settings: Settings | None = None,
    release: Release | None = None,
    vault: Callable[[], VaultClient] | None = None,
) -> AsyncIterator[Place]:
    """A migrated database, and what stands on it. ``settings.control.database`` may name a PostgreSQL.

    Without ``vault`` (one that :mod:`tests.support.vault` runs, say) there is none that answers.
    """
    wanted = settings or Settings(platform=Platform(mode=Mode.HOSTED, region="eu-test"), control=OPERATED)
    clock = StandingClock()
    if not wanted.control.database:
        if elsewhere is not None:
            there = elsewhere.fresh(folder)
            chosen = replace(wanted.control, database=there.database, database_authority=there.database_authority)
            wanted = replace(wanted, control=chosen)
        else:
            await _lay_down(State(folder))
        database = open_database(wanted.control, State(folder))
    else:
        database = open_database(wanted.control, State(folder))
        await migrate(database)
    context = Context(
        settings=wanted,
        database=database,
        clock=clock,
        random=Counted(),
        pepper=Secret(b"p" * 32),
        tombstones=Tombstones(State(folder).control / tombstones.FILE, Secret(b"p" * 32)),
        release=lambda: release,
        hub=Hub(database),
        vault=VaultLine(vault or _no_vault, clock),
    )
    try:
        yield Place(context, clock, rooms)
    finally:
        await database.close()


class Elsewhere(Protocol):
    """Where databases are, if not in the folders of their tests."""

    def fresh(self, folder: Path) -> Control: ...

    def kept(self) -> bytes: ...


elsewhere: Elsewhere | None = None
"""Set while the tests run on PostgreSQL."""


def database_bytes(folder: Path) -> bytes:
    """Everything that the database of a folder's test has on the disk, the write-ahead log too."""
    if elsewhere is not None:
        return elsewhere.kept()
    return b"".join(path.read_bytes() for path in folder.rglob("control.db*"))


_migrated: list[bytes] = []
"""A fresh SQLite database of this process, in one piece: migrating takes half a second, copying none."""


async def _lay_down(state: State) -> None:
    if not _migrated:
        with TemporaryDirectory() as folder:
            database = open_database(Control(), State(Path(folder)))
            await migrate(database)
            await database.close()
            _migrated.append((State(Path(folder)).control / FILE).read_bytes())
    state.control.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (state.control / FILE).exists():
        (state.control / FILE).write_bytes(_migrated[0])


def _no_vault() -> VaultClient:
    raise OSError


def a_node(name: str = "node-1", **fields: object) -> Node:
    """A node's row: it serves ``eu-test`` and was seen at noon."""
    known: dict[str, object] = {
        "name": name,
        "region": "eu-test",
        "stage": "serving",
        "drains": False,
        "capacity": 10,
        "revision": 1,
        "seen_revision": 0,
        "release": "",
        "report_run": "",
        "report_number": 0,
        "joined_at": NOON,
        "seen_at": NOON,
    }
    return Node(**(known | fields))


def a_bot(name: str, account: str = "a-1", /, **fields: object) -> Bot:
    """A bot's row: an active terminal bot that runs nowhere."""
    known: dict[str, object] = {
        "id": name,
        "account_id": account,
        "name": name,
        "stage": "active",
        "channel": "terminal",
        "provider": "openai",
        "model": "gpt-test",
        "limits": "{}",
        "access": "paired",
        "paused": False,
        "restarts": 0,
        "region": "eu-test",
        "node": None,
        "created_at": NOON,
        "changed_at": NOON,
    }
    return Bot(**(known | fields))


async def deeds(place: Place) -> list[str]:
    """What stands in the audit chain, the oldest first."""
    async with place.database.reading() as session:
        return [one.tag.removeprefix("control.") for one in await chain.entries(session, 0)]
