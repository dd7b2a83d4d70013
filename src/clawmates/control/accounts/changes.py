"""A change of address: both the old and the new one say yes, in a browser that is signed in to the account.

Both, so that neither a stolen session nor a mistyped address can take an account away; signed in, so that nobody is
brought to confirm their address for an account that somebody else has opened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete

from clawmates.control.accounts import links, people
from clawmates.control.accounts.tables import Account, EmailChange, Link
from clawmates.control.errors import LinkSpent
from clawmates.control.store.look import first, rows
from clawmates.inventory import spans as kept

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.look import Look

LIFE = kept.ADDRESS
BOTH = (links.Purpose.CHANGE_OLD, links.Purpose.CHANGE_NEW)


class State(StrEnum):
    """How far a change has come."""

    HALF = "half"
    """One side has said yes."""
    DONE = "done"
    TAKEN = "taken"
    """The new address has an account already; its owner, who has just proved to be that, may know."""


async def begin(database: AsyncSession, account_id: str, email: str, now: datetime) -> None:
    """Wants a change; one that was wanted before is forgotten, with what was confirmed of it."""
    await cancel(database, account_id)
    database.add(
        EmailChange(account_id=account_id, email=email, old_confirmed=False, new_confirmed=False, ends_at=now + LIFE)
    )
    await database.flush()


async def cancel(database: AsyncSession, account_id: str) -> None:
    """Wants none; links of before are good for no other change, because no mail says which address is wanted."""
    await database.execute(delete(EmailChange).where(EmailChange.account_id == account_id))
    await database.execute(delete(Link).where(Link.account_id == account_id, Link.purpose.in_(BOTH)))


async def stands(database: AsyncSession, account_id: str, made_at: datetime, now: datetime) -> bool:
    """Whether a mail that was wanted then is about the change that waits now, and not one of before."""
    change = await open_change(database, account_id, now)
    return change is not None and change.ends_at - LIFE <= made_at


_SEEN = rows(
    EmailChange,
    lambda wanted: wanted.where(
        EmailChange.account_id == bindparam("account"),
        EmailChange.ends_at > bindparam("now", type_=EmailChange.ends_at.type),
    ),
)


async def seen(look: Look, account_id: str, now: datetime) -> EmailChange | None:
    """What waits to be confirmed, to look at."""
    return await first(look, _SEEN, account=account_id, now=now)


async def open_change(database: AsyncSession, account_id: str, now: datetime) -> EmailChange | None:
    """What waits to be confirmed."""
    change = await database.get(EmailChange, account_id)
    return change if change is not None and change.ends_at > now else None


async def confirm(database: AsyncSession, now: datetime, account_id: str, spent: links.Spent) -> State:
    """One side says yes; with the second one the address changes. Raises :class:`LinkSpent` for a change of before."""
    account = await database.get(Account, account_id, with_for_update=True)
    change = await open_change(database, account_id, now)
    if account is None or change is None:
        raise LinkSpent
    new = spent.purpose is links.Purpose.CHANGE_NEW
    if spent.email != (change.email if new else account.email):
        raise LinkSpent
    if new:
        change.new_confirmed = True
    else:
        change.old_confirmed = True
    if not (change.old_confirmed and change.new_confirmed):
        return State.HALF
    wanted, old = change.email, account.email
    await database.delete(change)
    if await people.of_email(database, wanted) is not None:
        return State.TAKEN
    account.email = wanted
    await links.forget_address(database, old)
    await database.flush()
    return State.DONE
