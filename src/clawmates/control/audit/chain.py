"""Writing down what was done: as the last statement of the transaction that does it, or not at all.

``note`` only remembers. When the block of ``Database.writing`` ends and all else was said to the database, one lock is
taken, the entries follow the newest one there is, and the commit comes next. So the lock is held for two statements,
nobody who holds it waits for a row, and replicas cannot write two entries with one number: on SQLite because one writes
at a time, on PostgreSQL by an advisory lock, and should that fail by the primary key.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import Table, func, insert, select

from clawmates.base.clock import stamp
from clawmates.base.shape import encode_json
from clawmates.control.accounts.tables import Account
from clawmates.control.audit.tables import AuditEntry
from clawmates.control.store.database import last_of
from clawmates.wire.audit import EMPTY, PAGE, Entry, Head, chained
from clawmates.wire.deeds import DETAILS, Deed, Detail, check_subject

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

LOCK = 0x61756474
"""The number under which replicas on PostgreSQL wait for each other ("audt")."""
_NOTES = "audit"
_TABLE = cast(Table, AuditEntry.__table__)
# Made once, and asked of the connection itself: every change of an owner's comes by here.
_NEWEST = select(_TABLE.c.number, _TABLE.c.hash).order_by(_TABLE.c.number.desc()).limit(1)
_INSERT = insert(_TABLE)
_SUBJECT = b"clawmates-audit-subject-v1\0"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, not yet a link of the chain."""

    at: datetime
    deed: Deed
    detail: Detail
    subject: str


def pseudonym(account_id: str, key: bytes) -> str:
    """What the chain calls an account: 32 hexadecimal digits. Without the key, which goes with it, it is nobody."""
    return hmac.new(key, _SUBJECT + account_id.encode(), "sha256").hexdigest()[:32]


async def pseudonym_of(session: AsyncSession, account_id: str) -> str:
    """The same where only the id is at hand; empty for an account that is gone."""
    key = await session.scalar(select(Account.pseudonym_key).where(Account.id == account_id))
    return pseudonym(account_id, key) if key is not None else ""


def note(session: AsyncSession, now: datetime, deed: Deed, detail: Detail, subject: str = "") -> None:
    """This is written down with what the transaction does. Raises ``ValueError`` for what is not in the grammar.

    A session that only reads cannot write it down: ``LookupError``.
    """
    if type(detail) is not DETAILS[deed]:
        raise ValueError(f"{deed.value} has another detail")
    fresh, last = Note(now, deed, detail, check_subject(subject)), last_of(session)
    if _NOTES not in session.info:
        session.info[_NOTES] = []
        last.append(_write)
    session.info[_NOTES].append(fresh)


async def _write(session: AsyncSession) -> None:
    notes = cast(list[Note], session.info.pop(_NOTES))
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    newest = await head(session)
    previous, rows = bytes.fromhex(newest.hash), []
    for number, one in enumerate(notes, newest.number + 1):
        at, tag, detail = stamp(one.at), one.deed.value, encode_json(one.detail).decode()
        previous = chained(previous, number, at, tag, detail, one.subject)
        rows.append(
            {
                "number": number,
                "at": at,
                "tag": tag,
                "subject": one.subject,
                "detail": detail,
                "hash": previous.hex(),
            }
        )
    await (await session.connection()).execute(_INSERT, rows)


async def head(session: AsyncSession) -> Head:
    """How far the chain has come."""
    row = (await (await session.connection()).execute(_NEWEST)).one_or_none()
    return EMPTY if row is None else Head(number=row.number, hash=row.hash)


async def head_at(session: AsyncSession, number: int) -> Head | None:
    """The head that the chain had at ``number``; ``None`` when it has not come that far."""
    if number == 0:
        return EMPTY
    found = await session.scalar(select(AuditEntry.hash).where(AuditEntry.number == number))
    return None if found is None else Head(number=number, hash=found)


async def holds(session: AsyncSession, deed: Deed, detail: Detail, after: int) -> bool:
    """Whether there is such an entry after that number."""
    wanted = select(AuditEntry.number).where(AuditEntry.number > after, AuditEntry.tag == deed.value)
    text = encode_json(detail).decode()
    return await session.scalar(wanted.where(AuditEntry.detail == text).limit(1)) is not None


async def entries(session: AsyncSession, after: int, most: int = PAGE) -> tuple[Entry, ...]:
    """A page of entries after that number, the oldest first."""
    wanted = select(AuditEntry).where(AuditEntry.number > after).order_by(AuditEntry.number).limit(most)
    return tuple(entry_of(row) for row in await session.scalars(wanted))


def entry_of(row: AuditEntry) -> Entry:
    """A row as it travels."""
    return Entry(number=row.number, at=row.at, tag=row.tag, detail=row.detail, hash=row.hash, subject=row.subject)
