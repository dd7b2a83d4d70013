"""Two years of people in minutes: they come, are counted, meet errors, change their minds, leave, and come back.

Each night the retention jobs run as control runs them, by a clock that is handed in, and then every rule of the
inventory is asked how many rows are there that should not be. What must be left of the counts is known from another
place: a person's days follow from their number alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Date, Integer, cast, func, insert, literal, select, update

from clawmates.base.secret import Secret
from clawmates.base.settings import Mode, Platform, Settings
from clawmates.control.accounts import people
from clawmates.control.accounts.leave import HEADSTART
from clawmates.control.accounts.tables import Account, Attempt, Link, Session
from clawmates.control.bots import errands
from clawmates.control.bots.errands import Destroy
from clawmates.control.bots.tables import Bot, BotDay, BotError
from clawmates.control.cancelling import subscription
from clawmates.control.context import Context
from clawmates.control.erasure.tombstones import Tombstones
from clawmates.control.hub import Hub
from clawmates.control.jobs import takers
from clawmates.control.mail import notices
from clawmates.control.mail.post import Terminal
from clawmates.control.outbox.outbox import Done, Outcome, Task
from clawmates.control.outbox.worker import Worker
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.rules import JOBS
from clawmates.control.retention.taking import overdue
from clawmates.control.store.base import Moment
from clawmates.control.vault import VaultLine
from clawmates.inventory.spans import CANCELLED, COUNTS, LINK, SESSION
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.database import Database
    from clawmates.wire.vault_client import VaultClient

FIRST = date(2024, 11, 30)
NIGHT = timedelta(seconds=5)
"""After midnight: so long a replica may need to look again."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """So many people, one bot each, over so many days. Days are counted from 0; a person's life follows from ``n``."""

    people: int
    days: int

    def born(self, n: int) -> int:
        """The day of the sign-up: evenly spread."""
        return n * self.days // self.people

    def cancels(self, n: int) -> int:
        """The day, or one that never comes."""
        return self.born(n) + 20 + n % 200 if n % 5 == 0 else self.days + 1

    def resumes(self, n: int) -> int:
        """Every third of those comes back after ten days."""
        return self.cancels(n) + 10 if n % 15 == 0 else self.days + 1

    def runs(self, n: int, day: int) -> bool:
        """Whether the bot runs on that day."""
        return self.born(n) <= day < self.cancels(n) or day >= self.resumes(n)

    def is_kept(self, n: int, day: int) -> bool:
        """Whether it is there in the night after that day; destroyed is what was not taken up again."""
        return self.resumes(n) <= self.days or day < self.cancels(n) + (CANCELLED - HEADSTART).days

    def counted(self, n: int, day: int) -> int:
        """Messages on that day; on three of ten days none."""
        return (n * 7 + day * 13) % 50 + 1 if (n * 31 + day * 17) % 10 < 7 and self.runs(n, day) else 0

    def left(self, day: int) -> int:
        """How many messages are still known of in the night after that day, when the next one has begun."""
        oldest = max(0, day + 1 - COUNTS.days)
        mine = (n for n in range(self.people) if self.born(n) <= day and self.is_kept(n, day))
        return sum(self.counted(n, one) for n in mine for one in range(max(oldest, self.born(n)), day + 1))


@dataclass(slots=True)
class Nights:
    """What the nights showed."""

    seconds: list[float] = field(default_factory=list)
    """Of each night's run."""
    taken: int = 0
    overdue: int = 0
    """Rows, over all nights, that were there after the run and should not have been."""
    counts_off: int = 0
    """Messages, over all nights that were checked, by which the sum differed from what it must be."""
    looked: int = 0


@dataclass(frozen=True, slots=True)
class Answered(Destroy):
    """Of the vault only the answer: what it takes to destroy a key is another figure."""

    async def do(self, task: Task) -> Outcome:  # noqa: ARG002
        """At once."""
        return Done("{}")


async def live(database: Database, life: Life, *, check_every: int) -> Nights:
    """The whole of it, on a database that is empty. ``check_every``: nights until all counts are summed up again."""
    clock = Hand(_noon(0))
    context = _context(database, clock)
    keeper = Keeper(database=database, clock=clock, holder="0" * 32, takers=takers(context))
    handlers = {
        **errands.handlers(context),
        errands.DESTROY: Answered(context),
        notices.KIND: notices.NoticeHandler(context, Terminal(-1)),
    }
    worker = Worker(database=database, clock=clock, random=os.urandom, handlers=handlers)
    found, ids = Nights(), dict[int, str]()
    for day in range(life.days):
        clock.moment = _noon(day)
        async with database.writing() as session:
            await _day(session, context, life, day, ids)
        clock.moment = _noon(day) + timedelta(hours=12) + NIGHT
        begun = time.monotonic()
        found.taken += sum((await keeper.round()).values())
        found.seconds.append(time.monotonic() - begun)
        while await worker.round():
            pass
        async with database.reading() as session:
            await _look(session, life, day, clock.moment, found, exact=(day + 1) % check_every == 0)
    return found


def _noon(day: int) -> datetime:
    return datetime.combine(FIRST + timedelta(days=day), datetime.min.time(), UTC) + timedelta(hours=12)


def _context(database: Database, clock: Hand) -> Context:
    def away() -> VaultClient:
        raise OSError

    return Context(
        settings=Settings(platform=Platform(mode=Mode.HOSTED, region="bench")),
        database=database,
        clock=clock,
        random=os.urandom,
        pepper=Secret(bytes(32)),
        tombstones=Tombstones(Path("/nonexistent/erased"), Secret(bytes(32))),
        release=lambda: None,
        hub=Hub(database),
        vault=VaultLine(away, clock),
    )


async def _day(session: AsyncSession, context: Context, life: Life, day: int, ids: dict[int, str]) -> None:
    now = context.clock.now()
    everybody = range(life.people)
    for n in (n for n in everybody if life.born(n) == day):
        account = await people.open_account(session, os.urandom, f"person-{n}@example.org", "en", now)
        ids[n] = account.id
        session.add(_bot(f"b-{n:06}", account.id, "active", now))
        if n % 4 == 1:
            session.add(_bot(f"d-{n:06}", account.id, "draft", now))
    await session.flush()
    for n, account_id in ids.items():
        if life.cancels(n) == day:
            await subscription.cancel(session, context, account_id, now)
        if life.resumes(n) == day:
            await subscription.resume(session, context, account_id, now)
    await _sign_in(session, [one for one in ids.items() if (day - life.born(one[0])) % 20 == 0], day, now)
    number = cast(func.substr(Bot.id, 3), Integer)
    running = (Bot.stage == "active") & Bot.account_id.not_in(
        select(Account.id).where(Account.cancelled_at.is_not(None))
    )
    messages = (number * 7 + day * 13) % 50 + 1
    today = literal(FIRST + timedelta(days=day), Date)
    counted = select(Bot.id, today, messages, messages * 100).where(running, (number * 31 + day * 17) % 10 < 7)
    await session.execute(insert(BotDay).from_select(["bot_id", "day", "messages", "tokens"], counted))
    failing = select(Bot.id, literal(now, Moment), literal("bad-key")).where(running, (number + day) % 50 == 0)
    await session.execute(insert(BotError).from_select(["bot_id", "at", "code"], failing))
    edited = update(Bot).where(running, (number + day) % 30 == 0).values(name=f"Bot {day}", changed_at=now)
    await session.execute(edited, execution_options={"synchronize_session": False})


async def _sign_in(session: AsyncSession, those: list[tuple[int, str]], day: int, now: datetime) -> None:
    """A browser, a link that nobody used, and a try that was counted."""
    if not those:
        return
    proofs = [(f"{n:032x}{day:032x}", account) for n, account in those]
    browser = {"created_at": now, "seen_at": now, "ends_at": now + SESSION, "proved_at": now, "browser": ""}
    await session.execute(insert(Session), [{"proof": one, "account_id": whose} | browser for one, whose in proofs])
    link: dict[str, object] = {
        "purpose": "sign-in",
        "email": "person@example.org",
        "account_id": None,
        "ends_at": now + LINK,
    }
    await session.execute(insert(Link), [{"proof": one} | link for one, _ in proofs])
    tried = {"what": "mail-address", "since": now, "count": 1, "ends_at": now + LINK}
    await session.execute(insert(Attempt), [{"who": one} | tried for one, _ in proofs])


def _bot(name: str, account: str, stage: str, now: datetime) -> Bot:
    return Bot(
        id=name,
        account_id=account,
        name="Bot",
        stage=stage,
        channel=ChannelKind.TELEGRAM.value,
        provider="openai",
        model="model",
        limits="{}",
        access=Access.PAIRED.value,
        paused=False,
        restarts=0,
        region="bench",
        created_at=now,
        changed_at=now,
    )


async def _look(session: AsyncSession, life: Life, day: int, now: datetime, found: Nights, *, exact: bool) -> None:
    for job in JOBS:
        found.overdue += await overdue(session, job, now)
    if exact:
        kept = await session.scalar(select(func.coalesce(func.sum(BotDay.messages), 0)))
        found.counts_off += abs(int(kept or 0) - life.left(day))
        found.looked += 1
