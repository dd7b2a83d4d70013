"""A database that was put back holds people who were deleted since: they go again, before anybody is served."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.accounts.tables import Account
from clawmates.control.bots.tables import Bot
from clawmates.control.context import Context
from clawmates.control.erasure import rows
from clawmates.control.erasure.tables import Erasure
from clawmates.control.nodes.revisions import touch
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task, add
from clawmates.control.store.scrub import BusyError, scrub
from clawmates.wire.upkeep_calls import destroy_tenant
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

AGAIN = "erase-again"
TRIES = 3
"""To write the files anew; at the start nobody but another replica stands in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTenant:
    """The body: whom the vault is to destroy once more, should it have been put back, too."""

    tenant: str


async def bury(context: Context) -> int:
    """Deletes again whom the list names, and whose deletion the database does not know; how many that were.

    Raises :class:`~clawmates.control.erasure.tombstones.TombstonesError` and the database's errors: nobody is served.
    """
    marks = context.tombstones.marks()
    if not marks:
        return 0
    async with context.database.reading() as session:
        under_way = set(await session.scalars(select(Erasure.account_id)))
        known = await session.scalars(select(Account.id))
        back = [one for one in known if context.tombstones.mark_of(one) in marks and one not in under_way]
    for account in back:
        async with context.database.writing() as session:
            await _again(session, context, account)
    if back:
        for _ in range(TRIES):
            with suppress(BusyError):
                await scrub(context.database)
                break
    return len(back)


async def _again(session: AsyncSession, context: Context, account: str) -> None:
    if await session.get(Account, account, with_for_update=True) is None:
        return  # another replica was quicker
    nodes = set(await session.scalars(select(Bot.node).where(Bot.account_id == account)))
    await rows.take_away(session, context, account)
    for node in sorted(node for node in nodes if node):
        await touch(session, node)
    body = encode_json(OfTenant(tenant=account)).decode()
    await add(session, f"erase/{account}", AGAIN, body, now=context.clock.now())


@dataclass(frozen=True, slots=True)
class Again:
    """For the outbox's worker."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """The same again gives the receipt again, which its owner has."""
        try:
            await destroy_tenant(self.context.vault.client(), decode_json(OfTenant, task.body.encode()).tenant)
        except VaultCallError:
            return Later("vault")
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing is left to be noted."""
