"""What is held on one person, with its values: every datum of the inventory that is about somebody."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.accounts.person import Person
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.privacy import owned
from clawmates.control.privacy.telling import Row, row_of
from clawmates.control.texts.catalogue import Words, words
from clawmates.inventory.datum import Datum, Form, Store
from clawmates.inventory.whole import INVENTORY

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


MOST = 20
"""Rows of one table on the page; all of them are in the export."""
EVERYWHERE = frozenset({"account_id", "subject"})
"""Columns that are the same in every row of a person's."""
LONGEST = 120
"""Characters of one value on the page."""
ITEMS = {"bot-token": ("channel-token",), "api-key": ("provider-key", "fallback-key")} | {
    "system-prompt": ("prompt",),
    "people": ("people",),
    "ingress-key": ("ingress-key",),
}
"""Which items of the vault's a datum is, by its id."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table, the newest first; ``total`` of which ``rows`` may be the first only."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """One item that the vault keeps as ciphertext; ``kept`` is its version there."""

    bot: str
    name: str
    item: str
    kept: int


@dataclass(frozen=True, slots=True)
class Held:
    """One datum and what there is of it. ``count`` is ``None`` where nothing leads from it to the person.

    ``looked_up`` is whether control has it at all, and could have looked.
    """

    row: Row
    tables: tuple[Table, ...] = ()
    sealed: tuple[Sealed, ...] = ()
    count: int | None = None
    looked_up: bool = True


@dataclass(frozen=True, slots=True)
class _About:
    """Whom it is about: their bots' names by id, and what the vault keeps for those."""

    person: Person
    language: str
    names: Mapping[str, str]
    items: tuple[BotItem, ...]

    @property
    def texts(self) -> Words:
        return words(self.language)


async def held(session: AsyncSession, person: Person, language: str) -> list[Held]:
    """All of them, in the inventory's order."""
    bots = await session.execute(select(Bot.id, Bot.name).filter_by(account_id=person.account_id))
    names = {row.id: row.name for row in bots}
    items = await session.scalars(select(BotItem).where(BotItem.bot_id.in_(names), BotItem.kept > 0))
    about = _About(person, language, names, tuple(items))
    return [await _held(session, about, datum) for datum in INVENTORY if datum.about_a_person]


async def _held(session: AsyncSession, about: _About, datum: Datum) -> Held:
    row = row_of(datum, about.language)
    if datum.id in ITEMS:
        mine = (one for one in about.items if one.name in ITEMS[datum.id])
        found = tuple(Sealed(one.bot_id, about.names[one.bot_id], one.name, one.kept) for one in mine)
        return Held(row, sealed=found, count=len(found))
    if Store.CONTROL not in datum.stores:
        return Held(row, looked_up=False)
    if not datum.exported or datum.form is not Form.CLEAR:
        counts = [await owned.count(session, part, about.person) for part in owned.parts(datum)]
        return Held(row, count=None if None in counts else sum(one or 0 for one in counts))
    tables = [await _table(session, about, part) for part in owned.parts(datum)]
    return Held(row, tables=tuple(one for one in tables if one.total), count=sum(one.total for one in tables))


async def _table(session: AsyncSession, about: _About, part: owned.Part) -> Table:
    columns = tuple(one.name for one in part.columns if one.name not in EVERYWHERE)
    total = await owned.count(session, part, about.person) or 0
    rows = await owned.newest(session, part, about.person, MOST)
    return Table(columns, tuple(tuple(_shown(row[one], one, about) for one in columns) for row in rows), total)


def _shown(value: object, column: str, about: _About) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return about.texts("held.yes" if value else "held.no")
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    text = b64encode(value).decode() if isinstance(value, bytes) else str(value)
    text = about.names.get(text, text) if column == "bot_id" else text
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
