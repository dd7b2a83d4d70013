"""Puts control's part of a backup into an empty database: in one transaction, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode, decode_json, encode_json
from clawmates.control.backups.cells import value
from clawmates.control.backups.sorts import ERRANDS, Sort, sorts
from clawmates.control.bots.tables import Bot
from clawmates.control.erasure.restored import AGAIN, OfTenant
from clawmates.control.outbox.outbox import add
from clawmates.control.store.migrate import migrate
from clawmates.control.store.tables import METADATA
from clawmates.wire import backups as wire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.database import Database

Opener = Callable[[str], Secret[bytes] | None]
"""A tenant's private backup key; ``None`` where it was destroyed."""
NUMBERED = frozenset({"bot_errors", "errands", "retention_runs"})
"""Their numbers are the database's to give, in the order of the rows."""
AT_ONCE = 1000


class PutError(Exception):
    """Nothing was put back; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """``gone``: accounts whose key was destroyed since; nobody can open them. ``leaving``: are destroyed once more."""

    accounts: int
    bots: tuple[str, ...]
    gone: int
    leaving: int


@dataclass(frozen=True, slots=True)
class _Part:
    head: wire.Head
    shared: tuple[wire.Table, ...]
    owned: Mapping[str, Sequence[wire.Table]]
    """By table, parents first: one of each account that has rows there."""
    accounts: int
    gone: int


async def put_back(database: Database, part: bytes, region: str, opener: Opener, now: datetime) -> Put:
    """Fills an empty database. Raises :class:`PutError`, also for the database's own errors, without their text."""
    opened = open_part(part, region, opener)
    try:
        await migrate(database)
        async with database.writing() as session:
            await _require(session, opened.head)
            for one in opened.shared:
                await _insert(session, one.table, [one])
            for name, some in opened.owned.items():
                await _insert(session, name, some)
            for account in opened.head.leaving:
                body = encode_json(OfTenant(tenant=account)).decode()
                await add(session, f"erase/{account}", AGAIN, body, now=now)
            bots = tuple(await session.scalars(select(Bot.id).order_by(Bot.id)))
    except SQLAlchemyError as error:
        raise PutError(
            f"control's database took nothing ({type(error).__name__}): see [control] database, and that it answers"
        ) from None
    return Put(accounts=opened.accounts, bots=bots, gone=opened.gone, leaving=len(opened.head.leaving))


def open_part(part: bytes, region: str, opener: Opener) -> _Part:
    """Everything that has a key, parents first. Raises :class:`PutError`."""
    kinds = {table.name: sort for table, sort in sorts().items()}
    first, *lines = part.splitlines() or [b""]
    head = _head(first, region)
    shared: list[wire.Table] = []
    owned: dict[str, list[wire.Table]] = {name: [] for name, sort in kinds.items() if sort is Sort.OWNED}
    gone = accounts = 0
    try:
        for line in lines:
            data = json.loads(line)
            if "table" in data:
                shared.append(_of(decode(wire.Table, data), kinds, Sort.SHARED))
                continue
            sealed = decode(wire.Sealed, data)
            key = opener(sealed.tenant)
            if key is None:
                gone += 1
                continue
            accounts += 1
            rows = decode_json(wire.Rows, wire.open_rows(key, region, sealed), wire.MOST_BYTES)
            for table in rows.tables:
                owned[_of(table, kinds, Sort.OWNED).table].append(table)
    except (ShapeError, ValueError, TypeError, wire.RowsError):
        raise PutError("control's part of the backup is damaged") from None
    if accounts + gone != head.accounts:
        raise PutError("control's part of the backup is not whole")
    return _Part(head, tuple(shared), owned, accounts, gone)


def _head(line: bytes, region: str) -> wire.Head:
    try:
        found = json.loads(line)
        told = found.get("format"), str(found.get("software"))[:40]
    except (ValueError, AttributeError):
        raise PutError("control's part of the backup is damaged") from None
    if told[0] != wire.FORMAT:
        raise PutError(f"control's part was made by {told[1]}, and this version cannot read it: update first")
    try:
        head = decode(wire.Head, found)
    except ShapeError:
        raise PutError("control's part of the backup is damaged") from None
    if head.region != region:
        raise PutError(f"control's part is of the region {head.region!r}, the configuration says {region!r}")
    return head


def _of(table: wire.Table, kinds: dict[str, Sort], wanted: Sort) -> wire.Table:
    if kinds.get(table.table) is not wanted:
        raise ValueError(table.table)
    return table


async def _require(session: AsyncSession, head: wire.Head) -> None:
    """The same schema, and not a row."""
    schema = await session.scalar(text("SELECT version_num FROM alembic_version"))
    if schema != head.schema:
        raise PutError(f"the backup's tables are those of {head.software}: restore with that version, then update")
    for table in METADATA.sorted_tables:
        if await session.scalar(select(func.count()).select_from(table)):
            raise PutError(
                f"control's database is not empty ({table.name}): nothing is restored over what is there. Name an empty"
                " one as [control] database, or drop this one if a restore that was cut short has left it"
            )


async def _insert(session: AsyncSession, name: str, found: Iterable[wire.Table]) -> None:
    table = METADATA.tables[name]
    try:
        rows = [_row(table, one.columns, cells) for one in found for cells in one.rows]
    except (ValueError, KeyError):
        raise PutError("control's part of the backup is damaged") from None
    for start in range(0, len(rows), AT_ONCE):
        await session.execute(insert(table), rows[start : start + AT_ONCE])


def _row(table: Table, columns: tuple[str, ...], cells: tuple[wire.Cell, ...]) -> dict[str, Any]:
    left = {"number"} if table.name in NUMBERED else set()
    if len(cells) != len(columns) or set(columns) != set(table.columns.keys()):
        raise ValueError(table.name)
    found = {name: value(table.c[name], text) for name, text in zip(columns, cells, strict=True) if name not in left}
    if table is ERRANDS:
        found["tries"] = 0  # whoever was at it is no more
    return found
