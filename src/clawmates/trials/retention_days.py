"""What happens on a day of a simulated life: people come, sign in, are counted, meet errors, edit, cancel, leave.

Many at once where only rows are wanted; who cancels, comes back or is deleted does it by control's own functions.
"""

from __future__ import annotations

import os
import typing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Date, Integer, String, Table, cast, func, insert, literal, select, update

from clawmates.control.accounts.people import PLAN
from clawmates.control.accounts.tables import Account, Attempt, Link, Session
from clawmates.control.bots.tables import Bot, BotDay, BotError
from clawmates.control.cancelling import subscription
from clawmates.control.context import Context
from clawmates.control.erasure.begin import begin
from clawmates.control.store.base import Moment
from clawmates.inventory.spans import LINK, SESSION
from clawmates.trials.measure import NoFigureError
from clawmates.trials.retention_errands import REGION
from clawmates.trials.retention_life import Calendar, Life
from clawmates.trials.retention_traces import HOST, address
from clawmates.wire.deeds import Wish
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

FIRST = date(2024, 11, 30)
SIGN_INS_EVERY = 20
"""Days."""

_NUMBER = cast(func.substr(Bot.id, 3), Integer)
_ACCOUNTS, _BOTS = insert(typing.cast(Table, Account.__table__)), insert(typing.cast(Table, Bot.__table__))


def noon(day: int) -> datetime:
    """Of a day counted from 0."""
    return datetime.combine(FIRST + timedelta(days=day), datetime.min.time(), UTC) + timedelta(hours=12)


@dataclass(slots=True)
class Days:
    """``ids`` of whoever has an account."""

    context: Context
    life: Life
    calendar: Calendar
    ids: dict[int, str] = field(default_factory=dict)

    async def live(self, session: AsyncSession, day: int) -> None:
        """One of them, at noon."""
        now, calendar = noon(day), self.calendar
        await self._come(session, calendar.come.get(day, []), now)
        for n in calendar.cancel.get(day, ()):
            await subscription.cancel(session, self.context, self.ids[n], now)
        for n in calendar.resume.get(day, ()):
            await subscription.resume(session, self.context, self.ids[n], now)
        for n in calendar.delete.get(day, ()):
            if await begin(session, self.context, self.ids.pop(n), Wish.OWNER) is None:
                raise NoFigureError("somebody who is to be deleted is not there")
        await self._sign_in(session, day, now)
        await _talk(session, day, now)

    async def _come(self, session: AsyncSession, those: list[int], now: datetime) -> None:
        if not those:
            return
        self.ids |= {n: f"a-{os.urandom(16).hex()}" for n in those}
        opened = {"language": "en", "plan": PLAN, "created_at": now}
        accounts = [{"id": self.ids[n], "email": address(n), "pseudonym_key": os.urandom(32)} | opened for n in those]
        bots = [_bot(f"b-{n:06}", n, self.ids[n], "active", now) for n in those]
        bots += [_bot(f"d-{n:06}", n, self.ids[n], "draft", now) for n in those if n % 4 == 1]
        connection = await session.connection()
        await connection.execute(_ACCOUNTS, accounts)
        await connection.execute(_BOTS, bots)

    async def _sign_in(self, session: AsyncSession, day: int, now: datetime) -> None:
        """A browser, a link that nobody used, and a try that was counted."""
        since = day - _NUMBER * self.life.days // self.life.people
        today = Bot.id.startswith("b-") & (since % SIGN_INS_EVERY == 0)
        proof, moment, link_ends = Bot.account_id + f"-{day}", literal(now, Moment), literal(now + LINK, Moment)
        ends = literal(now + SESSION, Moment)
        browser = select(proof, Bot.account_id, moment, moment, ends, moment, literal("")).where(today)
        link = select(proof, literal("sign-in"), _name(f"@{HOST}"), link_ends).where(today)
        tried = select(proof, literal("mail-address"), moment, literal(1), link_ends).where(today)
        columns = ["proof", "account_id", "created_at", "seen_at", "ends_at", "proved_at", "browser"]
        await session.execute(insert(Session).from_select(columns, browser))
        await session.execute(insert(Link).from_select(["proof", "purpose", "email", "ends_at"], link))
        await session.execute(insert(Attempt).from_select(["who", "what", "since", "count", "ends_at"], tried))


async def _talk(session: AsyncSession, day: int, now: datetime) -> None:
    """Of every bot that runs: counts, for some an error, for some a new name."""
    number = _NUMBER
    away = select(Account.id).where(Account.cancelled_at.is_not(None))
    running = (Bot.stage == "active") & Bot.account_id.not_in(away)
    messages = (number * 7 + day * 13) % 50 + 1
    today = literal(FIRST + timedelta(days=day), Date)
    counted = select(Bot.id, today, messages, messages * 100).where(running, (number * 31 + day * 17) % 10 < 7)
    await session.execute(insert(BotDay).from_select(["bot_id", "day", "messages", "tokens"], counted))
    failing = select(Bot.id, literal(now, Moment), literal("bad-key")).where(running, (number + day) % 50 == 0)
    await session.execute(insert(BotError).from_select(["bot_id", "at", "code"], failing))
    edited = update(Bot).where(running, (number + day) % 30 == 0).values(name=_name(f"@day-{day}"), changed_at=now)
    await session.execute(edited, execution_options={"synchronize_session": False})


def _name(rest: str) -> ColumnElement[str]:
    """As :mod:`clawmates.trials.retention_traces` finds it again."""
    return literal("person-", String) + cast(_NUMBER, String) + literal(rest, String)


def _bot(name: str, n: int, account: str, stage: str, now: datetime) -> dict[str, object]:
    return {
        "id": name,
        "account_id": account,
        "name": f"person-{n}@day-0",
        "stage": stage,
        "channel": ChannelKind.TELEGRAM.value,
        "provider": "openai",
        "model": "model",
        "limits": "{}",
        "access": Access.PAIRED.value,
        "paused": False,
        "restarts": 0,
        "region": REGION,
        "version": 1,
        "created_at": now,
        "changed_at": now,
    }
