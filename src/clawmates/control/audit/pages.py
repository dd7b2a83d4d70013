"""Page: what happened, as far as it concerns the person who asks: control's own entries beside the vault's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads it
from sqlalchemy import select

from clawmates.base.clock import stamp
from clawmates.control.accounts.person import Person, SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.audit import words
from clawmates.control.audit.chain import entry_of
from clawmates.control.audit.tables import AuditEntry
from clawmates.control.audit.telling import Told, gathered, tell
from clawmates.control.bots.tables import Bot, BotReceipt
from clawmates.control.errors import Malformed
from clawmates.control.frame import Reading, context_of
from clawmates.control.pages.render import language_of, page
from clawmates.control.texts.catalogue import words as texts_of
from clawmates.wire.audit import MOST_BOTS, About, Entry
from clawmates.wire.deeds import Deed
from clawmates.wire.vault_calls import audit_about
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context
    from clawmates.control.texts.catalogue import Words

router = APIRouter()
MOST = 50
"""Entries on a page."""
OF_EVERYBODY = (Deed.ADMIN_LOOKED, Deed.BACKUP_MADE, Deed.AUDIT_RESUMED)
"""What an operator did that concerns all people alike."""


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a day."""

    time: str
    by: str
    text: str
    times: int


@router.get("/activity")
async def activity(request: Request, person: SignedIn, session: Reading) -> Response:
    """The newest, or with ``?until=STAMP`` those that are not younger."""
    context = context_of(request)
    until = _moment(request.query_params.get("until", "")) or context.clock.now() + timedelta(days=1)
    names = await _bots(session, person)
    mine = await _own(session, person, stamp(until))
    word = await words.last_word(session)
    theirs = await _vaults(context, tuple(names)[:MOST_BOTS], stamp(until))
    shown, older = _page(mine + list(theirs or ()))
    told = gathered(tell(one, names) for one in shown)
    texts = texts_of(language_of(request))
    by_day = groupby(told, key=lambda one: one.at.date())
    days = [(day, [_line(one, texts) for one in of_day]) for day, of_day in by_day]
    return page(
        request,
        "activity.html",
        days=days,
        older=older,
        first=not request.query_params.get("until"),
        vault_away=theirs is None,
        signed=datetime.fromisoformat(word.at) if word is not None else None,
    )


async def recent(
    context: Context, session: AsyncSession, person: Person, language: str, most: int
) -> list[tuple[date, Line]]:
    """The last of it, for another page: the day, and what is told of it."""
    names = await _bots(session, person)
    until = stamp(context.clock.now() + timedelta(days=1))
    theirs = await _vaults(context, tuple(names)[:MOST_BOTS], until)
    told = gathered(tell(one, names) for one in await _own(session, person, until) + list(theirs or ()))
    return [(one.at.date(), _line(one, texts_of(language))) for one in told[:most]]


def _line(one: Told, texts: Words) -> Line:
    fields = {**one.fields, **{name: texts(key) for name, key in one.words.items()}}
    return Line(f"{one.at:%H:%M}", texts(f"activity.by.{one.by}"), texts(one.key, **fields), one.times)


def _page(found: Sequence[Entry]) -> tuple[list[Entry], str]:
    """The newest of them, and from when on the next page goes, or nothing. A moment is never torn between two pages."""
    ordered = sorted(found, key=lambda one: one.at, reverse=True)
    if len(ordered) <= MOST:
        return ordered, ""
    rest = ordered[MOST].at
    shown = [one for one in ordered if one.at > rest]
    if shown:
        return shown, rest
    return ordered, stamp(datetime.fromisoformat(rest) - timedelta(milliseconds=1))


async def _bots(session: AsyncSession, person: Person) -> dict[str, str]:
    """The names of a person's bots by id; of those that are gone, the beginning of the id. The newest first."""
    living = select(Bot.id, Bot.name).where(Bot.account_id == person.account_id).order_by(Bot.created_at.desc())
    gone = select(BotReceipt.bot_id).where(BotReceipt.account_id == person.account_id).order_by(BotReceipt.at.desc())
    named = {row.id: row.name for row in await session.execute(living)}
    return named | {bot: bot[:10] for bot in await session.scalars(gone) if bot not in named}


async def _own(session: AsyncSession, person: Person, until: str) -> list[Entry]:
    """What concerns the person alone, and looks, backups and new beginnings, which concern everybody."""
    newest = select(AuditEntry).where(AuditEntry.at <= until).order_by(AuditEntry.number.desc()).limit(MOST + 1)
    mine = newest.where(AuditEntry.subject == person.subject)
    looks = newest.where(AuditEntry.subject == "", AuditEntry.tag.in_(OF_EVERYBODY))
    return [entry_of(row) for one in (mine, looks) for row in await session.scalars(one)]


async def _vaults(context: Context, bots: tuple[str, ...], until: str) -> tuple[Entry, ...] | None:
    """``None`` where the vault does not answer."""
    if not bots:
        return ()
    try:
        question = About(bots=bots, until=until, most=MOST + 1)
        return (await audit_about(context.vault.client(), question)).entries
    except VaultCallError:
        return None


def _moment(text: str) -> datetime | None:
    """Of an address that the page itself has made; raises :class:`Malformed` for another."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed from None
    if found.tzinfo is None or stamp(found) != text:
        raise Malformed
    return found
