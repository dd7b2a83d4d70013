"""What a person takes away (GDPR, articles 15 and 20): everything that the inventory calls exported, and nothing else.

Made whole in memory before its first byte leaves, so that what fails is an error and never half a file. What lies
encrypted at the vault is added by the person's own browser, which alone can open it (``static/held.js``).
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import date, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Date, Float, Integer, LargeBinary, Text, select

from clawmates.base.clock import stamp
from clawmates.control.bots.tables import Bot, BotReceipt
from clawmates.control.privacy import owned
from clawmates.control.store.base import Moment
from clawmates.inventory.datum import Datum, Form, Store
from clawmates.inventory.packing import (
    ABOUT_FILE,
    DOCUMENT,
    ENTRY,
    FORMAT,
    SCHEMA_FILE,
    Package,
    Shape,
    file_of,
    schema,
)
from clawmates.inventory.whole import INVENTORY, by_id
from clawmates.wire.audit import MOST_BOTS, PAGE, About, Entry
from clawmates.wire.vault_calls import audit_about

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Column
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person
    from clawmates.control.context import Context

_VAULTS = by_id("vault-audit")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_JSON = frozenset({"limits", "detail", "body"})
"""Texts that are JSON themselves; they stay as they are, because some of them are signed."""


def from_rows() -> tuple[Datum, ...]:
    """Those that stand in control's own database."""
    return tuple(one for one in INVENTORY if one.exported and Store.CONTROL in one.stores)


def by_browser() -> tuple[Datum, ...]:
    """Those that only the owner can open."""
    return tuple(one for one in INVENTORY if one.exported and one.form is Form.SEALED)


def shapes() -> dict[str, Any]:
    """The schema that lies in every export."""
    rows = [(one, {part.table.name: _columns(part) for part in owned.parts(one)}) for one in from_rows()]
    documents = [(one, {"documents": DOCUMENT}) for one in by_browser()]
    return schema([*rows, (_VAULTS, {"entries": ENTRY}), *documents])


async def export(context: Context, session: AsyncSession, person: Person) -> list[bytes]:
    """The zip. Raises the database's errors, and the vault client's: without the vault's entries it is not whole."""
    now = context.clock.now()
    package = Package(now)
    about = {"format": FORMAT, "made": stamp(now), "software": f"clawmates {version('clawmates')}"}
    package.add(ABOUT_FILE, about)
    package.add(SCHEMA_FILE, shapes())
    for datum in from_rows():
        with package.open(file_of(datum)) as stream:
            stream.write(b"{")
            for number, part in enumerate(owned.parts(datum)):
                stream.write(f"{',' if number else ''}\n{json.dumps(part.table.name)}: [".encode())
                before = "\n"
                async for some in owned.rows(session, part, person):
                    lines = (_encode({name: _value(value) for name, value in row.items()}) for row in some)
                    stream.write((before + ",\n".join(lines)).encode())
                    before = ",\n"
                stream.write(b"]")
            stream.write(b"}\n")
    package.add(file_of(_VAULTS), {"entries": [_entry(one) for one in await _entries(context, session, person)]})
    return package.close()


async def _entries(context: Context, session: AsyncSession, person: Person) -> list[Entry]:
    """The vault's about all bots of the person's, gone ones too; the oldest first."""
    living = select(Bot.id).where(Bot.account_id == person.account_id)
    gone = select(BotReceipt.bot_id).where(BotReceipt.account_id == person.account_id)
    bots = sorted({*await session.scalars(living), *await session.scalars(gone)})
    found: dict[int, Entry] = {}
    for some in _batches(bots, MOST_BOTS):
        until = stamp(context.clock.now() + timedelta(days=1))
        while True:
            answer = await audit_about(context.vault.client(), About(bots=some, until=until, most=PAGE))
            fresh = [one for one in answer.entries if one.number not in found]
            found |= {one.number: one for one in fresh}
            if len(answer.entries) < PAGE or not fresh:
                break
            until = fresh[-1].at
    return [found[number] for number in sorted(found)]


def _batches(bots: list[str], most: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(bots), most):
        yield tuple(bots[start : start + most])


def _entry(one: Entry) -> dict[str, object]:
    return {name: getattr(one, name) for name in ENTRY}


def _value(value: object) -> object:
    match value:
        case datetime():
            return stamp(value)
        case date():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case _:
            return value


def _columns(part: owned.Part) -> Mapping[str, Shape]:
    return {one.name: _shape(one) for one in part.columns}


def _shape(column: Column[Any]) -> Shape:
    kind = column.type
    found: dict[str, Any] = {"type": "string"}
    if isinstance(kind, Boolean):
        found = {"type": "boolean"}
    elif isinstance(kind, Integer):
        found = {"type": "integer"}
    elif isinstance(kind, Float):
        found = {"type": "number"}
    elif isinstance(kind, Moment):
        found["format"] = "date-time"
    elif isinstance(kind, Date):
        found["format"] = "date"
    elif isinstance(kind, LargeBinary):
        found["contentEncoding"] = "base64"
    elif isinstance(kind, Text) and column.name in _JSON:
        found["contentMediaType"] = "application/json"
    if column.nullable:
        found["type"] = [found["type"], "null"]
    return found
