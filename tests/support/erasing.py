"""A person of whom every table holds something, and a control that deletes them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Column, Date, DateTime, LargeBinary, String, Table, func, insert, select
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.control import NOON, Counted, Place, database_bytes, signed_in
from tests.support.launching import Bench, a_bench

from clawmates.base.shape import encode_json
from clawmates.control.accounts import attempts
from clawmates.control.erasure import rows
from clawmates.control.erasure.begin import Begun, begin
from clawmates.control.erasure.tables import Erasure
from clawmates.control.jobs import handlers
from clawmates.control.mail.errands import lane_of
from clawmates.control.nodes.api import build_nodes
from clawmates.control.outbox.tables import Errand
from clawmates.control.outbox.worker import Worker
from clawmates.control.store.base import Moment
from clawmates.wire.control import Report
from clawmates.wire.deeds import Wish
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.notary import Notary

SHORTEST = 8
"""Characters of a mark: a shorter column holds a word of a closed list."""
IDS = frozenset({"accounts.id", "bots.id"})
"""They were drawn, and stay in the audit chain; nothing leads from them to anybody."""


@dataclass
class Furnished:
    """``marks`` by column: what no file may hold any more."""

    account: str
    email: str
    bots: tuple[str, ...]
    marks: dict[str, str] = field(default_factory=dict)

    def left_in(self, raw: bytes) -> list[str]:
        return sorted(column for column, mark in self.marks.items() if mark.encode() in raw)


@dataclass
class Stage:
    """A bench with a worker that knows every errand."""

    bench: Bench
    _reports: int = 0

    @property
    def place(self) -> Place:
        return self.bench.place

    def worker(self, replaced: Mapping[str, Any] | None = None) -> Worker:
        context, state = self.place.context, self.bench.house.state
        notary = Notary("eu-test", state.identity("control"), state.authority)
        known = {**handlers(context, notary), **(replaced or {})}
        return Worker(database=context.database, clock=context.clock, random=Counted(), handlers=known)

    async def work(self, worker: Worker | None = None, *, rounds: int = 40) -> None:
        """Until nothing is due, with a minute after each round for what waits."""
        worker = worker or self.worker()
        for _ in range(rounds):
            await worker.round()
            if not await self.waiting():
                return
            self.place.clock.forward(seconds=61)
        raise AssertionError(f"still waiting: {await self.waiting()}")

    async def waiting(self) -> list[tuple[str, str]]:
        async with self.place.database.reading() as session:
            wanted = select(Errand.kind, Errand.trouble).where(Errand.lane.startswith("erase/"))
            return [(kind, trouble) for kind, trouble in await session.execute(wanted)]

    async def node_says(self, leaving: tuple[str, ...] = (), revision: int = 1000) -> None:
        """The node's own report, as it comes to the face for nodes."""
        transport = httpx2.ASGITransport(_as_node(build_nodes(self.place.context, lambda _name: False)))
        self._reports += 1
        report = Report(run="0" * 32, number=self._reports, revision=revision, capacity=10, leaving=leaving)
        async with httpx2.AsyncClient(transport=transport, base_url="https://control", trust_env=False) as node:
            answer = await node.post("/v1/report", content=encode_json(report))
            assert answer.status_code == 204, answer.text

    async def ask(self, account: str, wish: Wish = Wish.OWNER) -> Begun:
        async with self.place.database.writing() as session:
            begun = await begin(session, self.place.context, account, wish)
        assert begun is not None
        return begun

    async def erasure(self, number: str = "") -> Erasure:
        """That one, or the only one."""
        wanted = select(Erasure).where(Erasure.id == number) if number else select(Erasure)
        async with self.place.database.reading() as session:
            return (await session.scalars(wanted)).one()


def _as_node(app: ASGIApp) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = ServiceName("eu-test", Role.NODE, "node-1")
        await app(scope, receive, send)

    return known


@asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[Stage]:
    async with a_bench(folder) as bench:
        yield Stage(bench)


async def furnish(place: Place, email: str = "", *, bots: int = 2, node: str | None = "node-1") -> Furnished:
    """Something of theirs in every table, in every column that has room for a mark."""
    found = Furnished(
        "", email or f"{secrets.token_hex(6)}@example.org", tuple(f"b-{secrets.token_hex(8)}" for _ in range(bots))
    )
    async with place.browser() as browser:
        found.account = await signed_in(place, browser, found.email)
    found.marks["accounts.email"] = found.email
    context = place.context
    await attempts.take(context, attempts.MAIL_ADDRESS, found.email)
    await attempts.take(context, attempts.CHANGE_ACCOUNT, found.account)
    async with place.database.writing() as session:
        for table in rows.owned(found.account):
            if table.name == "accounts" or (table.name == "bot_moves" and node is None):
                continue
            for bot in found.bots:
                values = {column.name: _value(found, table, column, bot, node) for column in table.columns}
                await session.execute(insert(table).values({k: v for k, v in values.items() if v is not ...}))
                if "account_id" in table.columns and table.name == "email_changes":
                    break
        lanes = [f"{kind}/{bot}" for bot in found.bots for kind in ("bot", "old")]
        for lane in (*lanes, lane_of(context, found.email)):
            mark = found.marks[f"errands.body {lane}"] = secrets.token_hex(8)
            due_at = NOON + timedelta(hours=20)
            session.add(Errand(lane=lane, kind="other", body=mark, tries=0, trouble="", due_at=due_at, made_at=NOON))
    return found


def _value(found: Furnished, table: Table, column: Column[Any], bot: str, node: str | None) -> Any:
    name = f"{table.name}.{column.name}"
    targets = {key.column.table.name for key in column.foreign_keys}
    known = {"accounts": found.account, "bots": bot, "nodes": node}
    if targets:
        return known[targets.pop()]
    fixed = {"bots.id": bot, "bot_receipts.bot_id": bot, "bots.stage": "active", "links.email": found.email}
    if name in fixed:
        return fixed[name]
    if name == "email_changes.email":
        return found.marks.setdefault(name, f"{secrets.token_hex(6)}@example.net")
    return _drawn(found, name, bot, column)


def _drawn(found: Furnished, name: str, bot: str, column: Column[Any]) -> Any:
    kind, size = column.type, getattr(column.type, "length", None) or 64
    if isinstance(kind, String | LargeBinary) and size >= SHORTEST:
        mark = found.marks[f"{name} {bot}"] = secrets.token_hex(min(size, 2 * SHORTEST) // 2)
        return mark if isinstance(kind, String) else mark.encode()
    if isinstance(kind, Moment | DateTime):
        return NOON
    if isinstance(kind, Date):
        return NOON.date()
    if column.primary_key and column.autoincrement is True:
        return ...
    return None if column.nullable else {str: "en", bool: False, float: 1.0}.get(kind.python_type, 1)


async def counted(place: Place, account: str) -> dict[str, int]:
    """Rows that foreign keys lead to this account from."""
    async with place.database.reading() as session:
        return {
            table.name: await session.scalar(select(func.count()).select_from(table).where(mine)) or 0
            for table, mine in rows.owned(account).items()
        }


__all__ = ["Furnished", "Stage", "a_stage", "counted", "database_bytes", "furnish"]
