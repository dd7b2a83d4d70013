"""Which rows are a person's, and taking them away: derived from foreign keys, so a new table is among them by itself.

What no foreign key leads to is named here: links by their address, errands by their lane, mails also by whom they are
about (an address may have been theirs before, or never have become theirs), tries by their keyed hash.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

from sqlalchemy import CursorResult, delete, or_, select

from clawmates.control.accounts import attempts
from clawmates.control.accounts.tables import Account, EmailChange, Link
from clawmates.control.bots.tables import Bot, BotReceipt
from clawmates.control.mail.errands import MAILS, lane_of
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.tables import METADATA
from clawmates.inventory.datum import Store
from clawmates.inventory.whole import of_store
from clawmates.wire.erasure import Gone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Delete, Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

AT_ONCE = 500
"""Values in one statement."""


def owned(account: str) -> dict[Table, ColumnElement[bool]]:
    """Every table from which foreign keys lead to this account, and which of its rows; children last."""
    root = cast("Table", Account.__table__)
    found: dict[Table, ColumnElement[bool]] = {root: root.c.id == account}
    for table in METADATA.sorted_tables:
        ways = [
            key.parent.in_(select(key.column).where(found[key.column.table]))
            for key in sorted(table.foreign_keys, key=lambda one: one.parent.name)
            if key.column.table in found
        ]
        if ways:
            found[table] = or_(*ways)
    return found


async def take_away(session: AsyncSession, context: Context, account: str) -> Counter[str]:
    """Deletes all that is there of an account; returns how many rows of which table."""
    gone: Counter[str] = Counter()

    async def run(statement: Delete) -> None:
        result = cast("CursorResult[object]", await session.execute(statement))
        gone[cast("Table", statement.table).name] += result.rowcount

    addresses = await _addresses(session, account)
    lanes = await _lanes(session, account) + [lane_of(context, one) for one in addresses]
    for start in range(0, len(lanes), AT_ONCE):
        await run(delete(Errand).where(Errand.lane.in_(lanes[start : start + AT_ONCE])))
    for number in await _mails(session, account):
        await run(delete(Errand).where(Errand.number == number))
    await run(delete(Link).where(Link.email.in_(addresses)))
    gone["attempts"] += await attempts.forget(session, context, addresses, account)
    for table, mine in reversed(owned(account).items()):
        await run(delete(table).where(mine))
    return gone


async def _addresses(session: AsyncSession, account: str) -> list[str]:
    own = await session.scalars(select(Account.email).where(Account.id == account))
    wanted = await session.scalars(select(EmailChange.email).where(EmailChange.account_id == account))
    return sorted({*own, *wanted})


async def _mails(session: AsyncSession, account: str) -> list[int]:
    # A drawn id: it stands in no body but those that name it, and there is nothing in it that LIKE would read.
    about = Errand.lane.startswith(MAILS) & Errand.body.contains(account)
    return list(await session.scalars(select(Errand.number).where(about)))


async def _lanes(session: AsyncSession, account: str) -> list[str]:
    living = await session.scalars(select(Bot.id).where(Bot.account_id == account))
    gone = await session.scalars(select(BotReceipt.bot_id).where(BotReceipt.account_id == account))
    return [f"{kind}/{bot}" for bot in sorted({*living, *gone}) for kind in ("bot", "old")]


def counted(gone: Mapping[str, int]) -> tuple[Gone, ...]:
    """By entry of the public list: the rows of its tables. An entry of which there was nothing is not named."""
    found = []
    for datum in of_store(Store.CONTROL):
        columns = (column.split(".") for column in datum.columns)
        tables = {table for store, table, *_ in columns if store == Store.CONTROL.value}
        rows = sum(gone.get(table, 0) for table in sorted(tables))
        if rows and datum.about_a_person:
            found.append(Gone(datum=datum.id, rows=rows))
    return tuple(found)
