"""Accounts: one for every address that was proved once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.accounts.tables import Account
from clawmates.control.audit.chain import note, pseudonym
from clawmates.control.store.upsert import insert_into
from clawmates.wire.deeds import Deed, Plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

PLAN = "free"


async def of_email(database: AsyncSession, email: str) -> Account | None:
    """The account of a normalised address."""
    return (await database.scalars(select(Account).where(Account.email == email))).one_or_none()


async def open_account(
    database: AsyncSession, random: Callable[[int], bytes], email: str, language: str, now: datetime
) -> Account:
    """The account of an address that has just been proved; of two who come at once, both get the same one."""
    made = f"a-{random(16).hex()}"
    wanted = insert_into(database, Account).values(
        id=made,
        email=email,
        language=language,
        plan=PLAN,
        cancelled_at=None,
        created_at=now,
        pseudonym_key=random(32),
    )
    await database.execute(wanted.on_conflict_do_nothing(index_elements=[Account.email]))
    account = (await database.scalars(select(Account).where(Account.email == email))).one()
    if account.id == made:
        note(database, now, Deed.ACCOUNT_OPENED, Plain(), pseudonym(account.id, account.pseudonym_key))
    return account
