"""The beginning of a deletion, in one transaction: from then on nobody is signed in, and no bot is wanted any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from clawmates.base.shape import encode_json
from clawmates.control.accounts.tables import Account, Challenge, EmailChange, Link, Session
from clawmates.control.audit.chain import note, pseudonym
from clawmates.control.bots.errands import DELETING
from clawmates.control.bots.tables import Bot
from clawmates.control.erasure import codes
from clawmates.control.erasure.tables import Erasure
from clawmates.control.nodes import ending
from clawmates.control.outbox.outbox import add
from clawmates.control.outbox.tables import Errand
from clawmates.control.outbox.worker import HOLD
from clawmates.wire.deeds import Deed, Left, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

KEYS, TELL = "erase-keys", "erase-tell"
"""The first errands of a deletion."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OfErasure:
    """The body of a deletion's errands."""

    erasure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """The body of the mail that says so. It goes before the account does."""

    erasure: str
    email: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """``code`` opens the receipt, for whoever asked on a page; there is no other copy of it."""

    erasure: str
    asked_at: datetime
    code: str = field(repr=False, default="")


def lane(erasure: str) -> str:
    """One step after the other."""
    return f"erase/{erasure}"


def mail_lane(erasure: str) -> str:
    """The last mail waits behind no other one."""
    return f"tell/{erasure}"


async def begin(session: AsyncSession, context: Context, account_id: str, wish: Wish) -> Begun | None:
    """Marks the account; ``None`` where there is none. Who comes second finds what the first has begun."""
    now = context.clock.now()
    account = await session.get(Account, account_id, with_for_update=True)
    if account is None:
        return None
    known = (await session.scalars(select(Erasure).where(Erasure.account_id == account_id))).one_or_none()
    if known is not None:
        return Begun(erasure=known.id, asked_at=known.asked_at)
    account.leaving_at = now
    for table in (Session, Challenge, Link, EmailChange):
        await session.execute(delete(table).where(table.account_id == account_id))
    erasure, (code, proof) = context.random(16).hex(), codes.fresh(context)
    session.add(_row(erasure, account_id, proof if wish is Wish.OWNER else "", now))
    wait = await _end_bots(session, account_id, erasure, now)
    body = encode_json(OfErasure(erasure=erasure)).decode()
    await add(session, lane(erasure), KEYS, body, now=now, wait=wait)
    told = Tell(erasure=erasure, email=account.email, language=account.language)
    await add(session, mail_lane(erasure), TELL, encode_json(told).decode(), now=now)
    note(session, now, Deed.ACCOUNT_LEFT, Left(wish=wish), pseudonym(account_id, account.pseudonym_key))
    return Begun(erasure=erasure, asked_at=now, code=code if wish is Wish.OWNER else "")


async def _end_bots(session: AsyncSession, account_id: str, erasure: str, now: datetime) -> timedelta:
    """No bot is wanted, and nothing more is said to the vault of any; how long something may be on its way to it.

    An errand that a replica has taken is due again when it must be over: nothing of it may reach the vault after the
    keys are destroyed, or it would be kept there anew.
    """
    rows = (await session.execute(select(Bot.id, Bot.node).where(Bot.account_id == account_id))).all()
    bots = {bot: node for bot, node in rows}  # noqa: C416 - mypy knows rows by their names only
    await session.execute(update(Bot).where(Bot.account_id == account_id).values(stage=DELETING, changed_at=now))
    await ending.end(session, bots, erasure)
    wait = timedelta()
    for some in _chunks([f"{kind}/{bot}" for bot in sorted(bots) for kind in ("bot", "old")]):
        stopped = delete(Errand).where(Errand.lane.in_(some)).returning(Errand.due_at, Errand.tries)
        for due_at, tries in await session.execute(stopped):
            if tries:
                # A moment further ahead is from before a clock was put back.
                wait = max(wait, min(due_at - now, HOLD))
    return wait


def _chunks(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE)]


def _row(erasure: str, account_id: str, proof: str, now: datetime) -> Erasure:
    return Erasure(
        id=erasure,
        account_id=account_id,
        asked_at=now,
        page_proof=proof,
        mail_proof="",
        told=False,
        vault="",
        erased_at=None,
        data="",
        rewritten_at=None,
        log="",
        receipt="",
        ends_at=None,
    )
