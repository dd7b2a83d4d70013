"""Controls as processes on one database, with a vault that really runs, and somebody signed in."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol

from sqlalchemy import func, select
from tests.support.control import a_bot, a_node
from tests.support.controlprocess import configure
from tests.support.launching import SECRETS, about, sealed
from tests.support.postgresql import Server
from tests.support.vault import House, Running, furnished, running

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.settings import load
from clawmates.control.accounts import people, sessions
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.database import Database, open_database
from clawmates.control.store.migrate import migrate

QUICK = "import datetime, clawmates.control.outbox.worker as w; w.HOLD = datetime.timedelta(seconds=1)"
"""What a replica has taken and died with is done by another at once, not after half a minute."""
DEATH = """
import importlib, os, signal
owner = importlib.import_module({module!r})
*parents, name = {path!r}.split(".")
for parent in parents:
    owner = getattr(owner, parent)
real = getattr(owner, name)
async def dying(*given, **named):
    mine = any({bot!r} in str(getattr(one, "body", getattr(one, "id", ""))) for one in given)
    if mine and not {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    found = await real(*given, **named)
    if mine:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
setattr(owner, name, dying)
"""


def dies(where: str, bot: str) -> str:
    """A build that is killed with ``bot``'s work in hand: ``before`` or ``after`` a coroutine ``MODULE:NAME``."""
    when, _, place = where.partition(" ")
    module, _, path = place.partition(":")
    code = DEATH.format(module=f"clawmates.control.{module}", path=path, bot=bot, after=when == "after")
    return f"{QUICK}; exec({code!r})"


class Asked(Protocol):
    """A control, as browsers reach it."""

    async def browser(self) -> Connection: ...


@dataclass
class Region:
    """What its replicas share."""

    database: Database
    account: str
    token: str
    origin: str = "https://localhost:8443"
    made: list[str] = field(default_factory=list)

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [
            ("Cookie", f"{sessions.COOKIE}={self.token}"),
            ("Origin", self.origin),
            ("Accept-Language", "en"),
        ]

    async def ask(
        self, control: Asked, method: str, target: str, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes]:
        """Status and body; (0, nothing) where the connection broke."""
        try:
            browser = await control.browser()
        except HttpError:
            return 0, b""
        try:
            headers = [*self.headers, ("Content-Type", kind)] if kind else self.headers
            answer = await browser.request(method, target, headers=headers, body=body)
            return answer.status, await answer.read(1 << 20)
        except HttpError:
            return 0, b""
        finally:
            await browser.close()

    async def post(self, control: Asked, target: str, **fields: object) -> int:
        body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        return (await self.ask(control, "POST", target, body, "application/x-www-form-urlencoded"))[0]

    async def draft(self, **more: object) -> str:
        bot = f"b-{secrets.token_hex(16)}"
        fields = {"channel": "telegram", "stage": "draft", "region": "local", "model": "gpt-5.4-nano"} | more
        async with self.database.writing() as session:
            session.add(a_bot(bot, self.account, **fields))
        self.made.append(bot)
        return bot

    async def launch(self, control: Asked, bot: str) -> tuple[int, bytes]:
        """Opens the page, seals, and sends."""
        status, page = await self.ask(control, "GET", f"/bots/{bot}/seal")
        assert status == 200, page
        told: Any = about(SimpleNamespace(text=page.decode()))  # type: ignore[arg-type]
        call = json.dumps(sealed(told, SECRETS)).encode()
        return await self.ask(control, "POST", f"/call/bots/{bot}/seal", call, "application/json")

    async def row(self, bot: str) -> Bot:
        async with self.database.reading() as session:
            return await session.get_one(Bot, bot)

    async def untouched(self, bot: str) -> bool:
        """Whether a launch has left no trace."""
        async with self.database.reading() as session:
            items = await session.scalar(select(func.count()).where(BotItem.bot_id == bot))
            errands = await session.scalar(select(func.count()).where(Errand.lane == f"bot/{bot}"))
            return (await session.get_one(Bot, bot)).stage == "draft" and not items and not errands

    async def until_kept(self, bot: str, seconds: float = 60) -> None:
        """Waits until the vault keeps all of it, and nothing is left to be said."""
        async with asyncio.timeout(seconds):
            while True:
                async with self.database.reading() as session:
                    kept = list(await session.scalars(select(BotItem.kept).where(BotItem.bot_id == bot)))
                    left = await session.scalar(select(func.count()).where(Errand.lane == f"bot/{bot}"))
                if kept == [1] * len(SECRETS) and not left:
                    return
                await asyncio.sleep(0.05)


async def signed_in(database: Database) -> tuple[str, str]:
    """Somebody's account, and the cookie of their browser."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        account = await people.open_account(session, os.urandom, "ada@example.org", "en", now)
        return account.id, await sessions.start(session, os.urandom, account.id, "Firefox, Linux", now)


@dataclass
class Housed(Region):
    """With a vault of its own, and a house in which controls can be started."""

    house: House = field(kw_only=True)
    vault: Running = field(kw_only=True)


@asynccontextmanager
async def a_region(server: Server | None) -> AsyncIterator[Housed]:
    """On ``server``, or on a SQLite file."""
    with furnished() as house:
        house.configure()
        async with running(house) as vault:
            extra = ""
            if server is not None:
                there = server.fresh(house.root)
                extra = f'database = "{there.database}"\ndatabase_authority = "{there.database_authority}"\n'
            configure(house, vault=vault.port, control=extra)
            database = open_database(load(house.state.config).control, house.state)
            try:
                await migrate(database)
                account, token = await signed_in(database)
                async with database.writing() as session:
                    session.add(a_node(region="local", seen_at=datetime.now(UTC)))
                yield Housed(database, account, token, house=house, vault=vault)
            finally:
                await database.close()
