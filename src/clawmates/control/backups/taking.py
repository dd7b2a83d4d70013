"""Takes control's part of a backup while it serves: one snapshot, each account's rows sealed under a key of its own.

Order keeps what was destroyed destroyed. The vault is asked to make missing keys *before* the snapshot and only for
those that are after it; and of accounts that are leaving nothing is taken. So an account in the snapshot began to leave
after it, its key is destroyed after that, and no later call makes another one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Table, select, text

from clawmates.base.clock import stamp
from clawmates.base.shape import encode_json
from clawmates.control.accounts.tables import Account
from clawmates.control.audit.chain import note
from clawmates.control.backups.cells import cell
from clawmates.control.backups.sorts import ACCOUNTS, BOTS, ERRANDS, LANES, Sort, sorts, way
from clawmates.wire import backups as wire
from clawmates.wire.deeds import Deed, Plain
from clawmates.wire.upkeep_calls import backup_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from clawmates.control.context import Context
    from clawmates.control.store.database import Database

SOFTWARE = f"clawmates {version('clawmates')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was read at one moment."""

    schema: str
    rows: Mapping[Table, Sequence[Row[Any]]]


async def take(context: Context) -> bytes:
    """The lines of :mod:`clawmates.wire.backups`.

    Raises the database's errors and :class:`~clawmates.wire.vault_client.VaultCallError`. That it was
    done stands in the audit chain first: what cannot be written down is not taken.
    """
    async with context.database.writing() as session:
        note(session, context.clock.now(), Deed.BACKUP_MADE, Plain())
    async with context.database.reading() as session:
        living = list(await session.scalars(select(Account.id).where(Account.leaving_at.is_(None))))
    await _keys(context, living, make=True)
    found = await read(context.database)
    staying = [row.id for row in found.rows[ACCOUNTS] if row.leaving_at is None]
    keys = await _keys(context, staying, make=False)
    head = wire.Head(
        format=wire.FORMAT,
        software=SOFTWARE,
        schema=found.schema,
        region=context.settings.platform.region,
        at=stamp(context.clock.now()),
        accounts=len(keys),
        leaving=tuple(sorted(row.id for row in found.rows[ACCOUNTS] if row.leaving_at is not None)),
    )
    # Sealing ten thousand accounts takes seconds, and pages are to be answered meanwhile.
    return await asyncio.to_thread(pack, head, found, keys)


async def _keys(context: Context, accounts: Sequence[str], *, make: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    client = context.vault.client()
    for start in range(0, len(accounts), wire.MOST_TENANTS):
        some = tuple(accounts[start : start + wire.MOST_TENANTS])
        answer = await backup_keys(client, wire.BackupKeysRequest(tenants=some, make=make))
        found |= {key.tenant: key.public for key in answer.keys}
    return found


async def read(database: Database) -> Snapshot:
    """All tables that are in a backup, as they were at one moment; writers are not held up."""
    async with _still(database) as connection:
        schema = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        rows = {
            table: (await connection.execute(select(table).order_by(*table.primary_key.columns))).all()
            for table, sort in sorts().items()
            if sort is not Sort.LEFT_OUT
        }
    return Snapshot(schema=str(schema), rows=rows)


@asynccontextmanager
async def _still(database: Database) -> AsyncIterator[AsyncConnection]:
    """One transaction that sees one moment: SQLite's do; PostgreSQL's at REPEATABLE READ, which it goes back from."""
    async with database.engine.connect() as plain:
        connection = plain
        if plain.dialect.name == "postgresql":
            connection = await plain.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            yield connection


def pack(head: wire.Head, found: Snapshot, keys: Mapping[str, str]) -> bytes:
    """The lines. An account without a key is not in them: it was made, or began to leave, a moment ago."""
    lines = [encode_json(head)]
    kinds = sorts()
    lines += [encode_json(_table(one, rows)) for one, rows in found.rows.items() if kinds[one] is Sort.SHARED]
    owned = {one: rows for one, rows in found.rows.items() if kinds[one] is Sort.OWNED}
    for account, tables in _by_account(owned, keys.keys()).items():
        plain = encode_json(wire.Rows(tables=tuple(_table(one, rows) for one, rows in tables.items())))
        lines.append(encode_json(wire.seal_rows(keys[account], head.region, account, plain)))
    return b"\n".join(lines) + b"\n"


def _by_account(
    owned: Mapping[Table, Sequence[Row[Any]]], wanted: Iterable[str]
) -> dict[str, dict[Table, list[Row[Any]]]]:
    """Each account's rows by table, parents first."""
    found: dict[str, dict[Table, list[Row[Any]]]] = {account: defaultdict(list) for account in sorted(wanted)}
    of_bot = {row.id: row.account_id for row in owned[BOTS]}
    for table, rows in owned.items():
        for row in rows:
            account = _whose(table, row, of_bot)
            if account in found:
                found[account][table].append(row)
    return found


def _whose(table: Table, row: Row[Any], of_bot: Mapping[str, str]) -> str | None:
    if table is ACCOUNTS:
        return str(row.id)
    if table is ERRANDS:
        kind = next((lane for lane in LANES if row.lane.startswith(lane)), None)
        return of_bot.get(row.lane.removeprefix(kind)) if kind is not None else None
    through = way(table)
    if through is None:
        return None
    column, root = through
    said = getattr(row, column.name)
    return str(said) if root is ACCOUNTS else of_bot.get(said)


def _table(table: Table, rows: Iterable[Row[Any]]) -> wire.Table:
    columns = tuple(column.name for column in table.columns)
    return wire.Table(table=table.name, columns=columns, rows=tuple(tuple(cell(one) for one in row) for row in rows))
