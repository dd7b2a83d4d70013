"""What was countersigned, as rows: our list of the vault's heads, and the vault's words on ours; only ever added to.

Where root had both begun anew, the lists that go on have other names: what was there stays, and counts no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.audit.tables import AuditEntry, AuditWitness
from clawmates.wire.audit import EMPTY, GENESIS, KEPT_WORDS, PAGE, Head, Line, Witness, Witnesses, chained_line
from clawmates.wire.deeds import Deed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.database import Database
    from clawmates.wire.audit import SignedHead

OURS, THEIRS = "control", "vault"


def following(last: Line | None, said: SignedHead) -> Line:
    """The line that comes next in our list of the vault's heads."""
    number, previous = (1, GENESIS) if last is None else (last.number + 1, bytes.fromhex(last.hash))
    return Line(number=number, said=said, hash=chained_line(previous, number, said).hex())


def end_of(line: Line | None) -> Head:
    """How far a list has come."""
    return EMPTY if line is None else Head(number=line.number, hash=line.hash)


async def last_line(session: AsyncSession) -> Line | None:
    """The vault's head that we have signed last."""
    row = await _last(session, THEIRS)
    return None if row is None else decode_json(Line, row.body.encode())


async def last_word(session: AsyncSession) -> Witness | None:
    """The vault's last word on our head."""
    row = await _last(session, OURS)
    return None if row is None else decode_json(Witness, row.body.encode())


async def lines(session: AsyncSession, after: int) -> tuple[Line, ...]:
    """A page of our list."""
    return tuple(decode_json(Line, row.body.encode()) for row in await _page(session, THEIRS, after))


async def words(session: AsyncSession, after: int) -> Witnesses:
    """A page of the vault's words on our heads."""
    rows = await _page(session, OURS, after)
    found = tuple(decode_json(Witness, row.body.encode()) for row in rows)
    return Witnesses(witnesses=found, last=rows[-1].number if rows else after)


async def add_line(database: Database, line: Line) -> None:
    """One more line of ours."""
    await _add(database, THEIRS, line.number, line.said.at, _text(line))


async def add_word(database: Database, word: Witness) -> None:
    """One more word of the vault's."""
    await _add(database, OURS, word.line.number, word.at, _text(word))


async def _add(database: Database, whose: str, number: int, at: str, body: str) -> None:
    """Where another replica was quicker with the same number, its row stays: the next meeting compares."""
    try:
        async with database.writing() as session:
            chain = await _name(session, whose)
            session.add(AuditWitness(chain=chain, number=number, at=at, body=body))
            await session.flush()
            old = (AuditWitness.chain == chain, AuditWitness.number <= number - KEPT_WORDS)
            if number > KEPT_WORDS:
                await session.execute(delete(AuditWitness).where(*old))
    except IntegrityError:
        pass


async def _name(session: AsyncSession, whose: str) -> str:
    """*control* and *vault*; after the first new beginning *c2* and *v2*."""
    anew = select(func.count()).where(AuditEntry.subject == "", AuditEntry.tag == Deed.AUDIT_RESUMED.value)
    times = await session.scalar(anew)
    return f"{whose[0]}{times + 1}" if times else whose


async def _last(session: AsyncSession, whose: str) -> AuditWitness | None:
    chain = await _name(session, whose)
    newest = select(AuditWitness).filter_by(chain=chain).order_by(AuditWitness.number.desc()).limit(1)
    return (await session.scalars(newest)).one_or_none()


async def _page(session: AsyncSession, whose: str, after: int) -> list[AuditWitness]:
    chain = await _name(session, whose)
    wanted = select(AuditWitness).where(AuditWitness.chain == chain, AuditWitness.number > after)
    return list(await session.scalars(wanted.order_by(AuditWitness.number).limit(PAGE)))


def _text(value: Line | Witness) -> str:
    return encode_json(value).decode()
