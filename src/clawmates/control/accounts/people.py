"""Accounts: one for every address that was proved once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.accounts.tables import Account

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
    """A new account for an address that has just been proved."""
    account = Account(
        id=f"a-{random(16).hex()}",
        email=email,
        language=language,
        plan=PLAN,
        created_at=now,
        pseudonym_key=random(32),
    )
    database.add(account)
    await database.flush()
    return account
