"""A clock moved by hand over three months: what the retention jobs of control leave is counted to the message.

The jobs are control's own, on a database that its own migrations made. What must be left is known from elsewhere: from
the mission page's two numbers of days, and from what was put there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.accounts import people
from clawmates.control.accounts.tables import Account, Link, Session
from clawmates.control.bots import errands
from clawmates.control.bots.tables import Bot, BotDay, BotError
from clawmates.control.cancelling import subscription
from clawmates.control.jobs import takers
from clawmates.control.mail import notices
from clawmates.control.mail.post import Terminal
from clawmates.control.outbox.worker import Worker
from clawmates.control.retention.keeper import Keeper
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate
from clawmates.proofs.errors import BlindError, ProofError
from clawmates.proofs.kept.look import CONTROL_DB
from clawmates.proofs.kept.schemas import beside
from clawmates.proofs.kept.seven import CANCELLED_DAYS, COUNT_DAYS, ERROR_DAYS
from clawmates.proofs.lapse.person import boxes, entrust

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.control.context import Context
    from clawmates.proofs.lapse.region import Region
    from clawmates.proofs.trial import Bench

LOOKS = (1, 29, 30, 31, 89, 90, 91)
"""Days after the first; the first look shows that all of it is there."""
EARLIER = 3
"""Days before the first of which there is something, too."""
NIGHT = timedelta(seconds=5)
"""After midnight, UTC: so long a replica may need to look again."""
SESSION_DAYS = 30
LINKS = 40
LINK_MINUTES = 15
ADA, CANCELLED = "b-counted", "b-cancelled"


@dataclass(slots=True)
class Hand:
    """A clock that is moved by hand."""

    moment: datetime

    def now(self) -> datetime:
        """Where it stands."""
        return self.moment

    def monotonic(self) -> float:
        """Seconds since the epoch."""
        return self.moment.timestamp()


@dataclass(frozen=True, slots=True)
class Night:
    """What a night left, beside what it must leave; both by name."""

    day: int
    left: dict[str, int]
    wanted: dict[str, int]
    traces: tuple[str, ...]
    """Values of what is over that are still in the files' bytes."""

    @property
    def objections(self) -> tuple[str, ...]:
        """What is wrong."""
        wrong = [
            f"day {self.day}: {name}: {self.left[name]} left, {wanted} must be"
            for name, wanted in self.wanted.items()
            if self.left[name] != wanted
        ]
        return (*wrong, *(f"day {self.day}: bytes of {one} are still in the files" for one in self.traces))


@dataclass(slots=True)
class Life:
    """What was put there, and by which text in the files each piece of it is known."""

    first: date
    codes: dict[int, str]
    """Error code by day."""
    links: tuple[str, ...]
    path: Path
    nights: list[Night] = field(default_factory=list)

    def messages(self, day: int) -> int:
        """So many were counted on that day: no two sums of a row of days are the same."""
        return 1000 + (day * day) % 997

    def wanted(self, day: int) -> dict[str, int]:
        """What must be there in the night in which that day begins."""
        counted = [one for one in self.codes if day - one <= COUNT_DAYS]
        # They are of noon, and it is midnight: half a day is missing for the day before.
        failed = [one for one in self.codes if day - one <= ERROR_DAYS]
        return {
            "messages": sum(self.messages(one) for one in counted),
            "days counted": len(counted),
            "error codes": len(failed),
            "sessions": int(day <= SESSION_DAYS),
            "links": 0,
            "bots of the cancelled": int(day < CANCELLED_DAYS),
            "the vault's boxes for them": 3 * int(day < CANCELLED_DAYS),
        }


async def days(region: Region, bench: Bench) -> list[Night]:
    """Lives through them. Raises :class:`ProofError`, and ``BlindError`` where what was put there is not seen."""
    start = datetime.combine(datetime.now(UTC).date(), time(12), UTC)
    clock = Hand(start)
    async with _database(region, clock) as context:
        life = await _begin(context, region, bench, clock)
        keeper = Keeper(database=context.database, clock=clock, holder="0" * 32, takers=takers(context))
        handlers = {
            **errands.handlers(context),
            notices.KIND: notices.NoticeHandler(context, Terminal(-1)),
        }
        worker = Worker(database=context.database, clock=clock, random=os.urandom, handlers=handlers)
        for day in LOOKS:
            clock.moment = datetime.combine(life.first + timedelta(days=day), time(), UTC) + NIGHT
            await keeper.round()
            while await worker.round():
                pass
            life.nights.append(_look(life, region, day))
            bench.progress("nights", 1)
    return life.nights


@asynccontextmanager
async def _database(region: Region, clock: Hand) -> AsyncIterator[Context]:
    """A database of the trial's own, beside the region's."""
    state = State(region.root / "days")
    database = open_database(Control(), state)
    try:
        await migrate(database)
        yield region.context(database, clock, state.control)
    finally:
        await database.close()


async def _begin(context: Context, region: Region, bench: Bench, clock: Hand) -> Life:
    now, path = clock.now(), region.root / "days" / "control" / CONTROL_DB
    life = Life(
        now.date(),
        {day: f"code-{bench.entropy(8).hex()}" for day in range(-EARLIER, max(LOOKS) + 1)},
        tuple(f"{bench.entropy(8).hex()}@example.org" for _ in range(LINKS)),
        path,
    )
    async with context.database.writing() as session:
        ada, eve = [
            await people.open_account(session, bench.entropy, f"{name}@example.org", "en", now)
            for name in ("ada", "eve")
        ]
        owners = ada.id, eve.id
        session.add_all([_bot(ADA, ada, now), _bot(CANCELLED, eve, now)])
        await session.flush()
        for day, code in life.codes.items():
            on = life.first + timedelta(days=day)
            session.add(BotDay(bot_id=ADA, day=on, messages=life.messages(day), tokens=1))
            session.add(BotError(bot_id=ADA, at=datetime.combine(on, time(12), UTC), code=code))
        session.add(_session(owners[0], bench.entropy(32).hex(), now))
        ends_at = now + timedelta(minutes=LINK_MINUTES)
        for number, address in enumerate(life.links):
            session.add(Link(proof=f"{number:064}", purpose="sign-in", email=address, account_id=None, ends_at=ends_at))
    await entrust(region.calls, owners[1], CANCELLED, region.settings.node.name)
    async with context.database.writing() as session:
        await subscription.cancel(session, context, owners[1], now)
    data = _bytes(path)
    if missed := [one for one in (*life.codes.values(), *life.links) if one.encode() not in data]:
        raise BlindError(f"{len(missed)} values that were just written are not seen in the database's files")
    async with context.database.reading() as session:
        if await session.scalar(select(Account.cancelled_at).where(Account.id == owners[1])) is None:
            raise ProofError("a subscription cannot be cancelled in the trial")
    return life


def _look(life: Life, region: Region, day: int) -> Night:
    wanted = life.wanted(day)
    data = _bytes(life.path)
    gone = [code for one, code in life.codes.items() if day - one > ERROR_DAYS]
    here = [code for one, code in life.codes.items() if day - one <= ERROR_DAYS]
    if missed := [code for code in here if code.encode() not in data]:
        raise BlindError(f"day {day}: {len(missed)} error codes that must be there are not found in the files' bytes")
    traces = [
        f"{count} {what}"
        for what, count in (
            ("error codes that are over", sum(code.encode() in data for code in gone)),
            ("addresses of links that are over", sum(one.encode() in data for one in life.links)),
        )
        if count
    ]
    return Night(
        day, _left(life.path) | {"the vault's boxes for them": len(boxes(region, CANCELLED))}, wanted, tuple(traces)
    )


def _left(path: Path) -> dict[str, int]:
    """Counted by a connection of the proofs' own."""
    questions = {
        "messages": "SELECT coalesce(sum(messages), 0) FROM bot_days",
        "days counted": "SELECT count(*) FROM bot_days",
        "error codes": "SELECT count(*) FROM bot_errors",
        "sessions": "SELECT count(*) FROM sessions",
        "links": "SELECT count(*) FROM links",
        "bots of the cancelled": f"SELECT count(*) FROM bots WHERE id = '{CANCELLED}'",  # noqa: S608 - a name of ours
    }
    try:
        with closing(beside(path)) as connection:
            return {name: int(connection.execute(one).fetchone()[0]) for name, one in questions.items()}
    except sqlite3.Error:
        raise ProofError("the trial's database cannot be read") from None


def _bytes(path: Path) -> bytes:
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")))


def _session(account: str, proof: str, now: datetime) -> Session:
    ends_at = now + timedelta(days=SESSION_DAYS)
    return Session(
        proof=proof, account_id=account, created_at=now, seen_at=ends_at, ends_at=ends_at, proved_at=now, browser=""
    )


def _bot(name: str, owner: Account, now: datetime) -> Bot:
    return Bot(
        id=name,
        account_id=owner.id,
        name="Bot",
        stage="active",
        channel="telegram",
        provider="openai",
        model="model",
        limits="{}",
        access="paired",
        paused=False,
        restarts=0,
        region="nowhere",
        created_at=now,
        changed_at=now,
    )
