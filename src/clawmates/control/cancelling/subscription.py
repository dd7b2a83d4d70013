"""Cancelling: no bot of the account runs any more, and a month later at most their configuration is destroyed.

That a bot does not run follows from its account's row (:mod:`clawmates.control.nodes.desired`). So whatever is done to
a bot meanwhile cannot start it, and who comes back finds each as it was, the paused ones paused.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.accounts.leave import HEADSTART
from clawmates.control.accounts.tables import Account
from clawmates.control.audit.chain import note, pseudonym
from clawmates.control.bots import errands
from clawmates.control.bots.ending import end
from clawmates.control.bots.errands import ACTIVE, DELETING
from clawmates.control.bots.tables import Bot
from clawmates.control.hub import account_topic, node_topic
from clawmates.control.mail.notices import Notice, Told, tell
from clawmates.control.nodes.revisions import touch
from clawmates.control.retention.taking import over
from clawmates.control.store.database import after_commit
from clawmates.wire.deeds import Deed, Plain
from clawmates.wire.names import ChannelKind
from clawmates.wire.vault_deeds import OfBot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context
    from clawmates.control.retention.keeper import Taker
    from clawmates.control.retention.rules import Job

HOOKS: Mapping[ChannelKind, Callable[[AsyncSession, Bot, datetime], Awaitable[None]] | None] = {
    ChannelKind.TELEGRAM: None,
    ChannelKind.TERMINAL: None,
}
"""By which errand a messenger is told not to call any more. ``None``: it never calls, the container asks it, and who
has stopped asks no more. A channel that calls in is offered to nobody before it stands here (a test compares)."""


async def cancel(session: AsyncSession, context: Context, account_id: str, now: datetime) -> None:
    """Stops all bots of the account. A second time nothing happens."""
    account = await _locked(session, account_id)
    if account is None or account.cancelled_at is not None:
        return
    account.cancelled_at = now
    await session.flush()
    bots = await _bots(session, account_id)
    for bot in bots:
        revoke = HOOKS[ChannelKind(bot.channel)]
        if revoke is not None:
            await revoke(session, bot, now)
    await _look_again(session, context, account_id, bots)
    note(session, now, Deed.ACCOUNT_CANCELLED, Plain(), pseudonym(account.id, account.pseudonym_key))
    await tell(session, context, _told(Notice.CANCELLED, account))


async def resume(session: AsyncSession, context: Context, account_id: str, now: datetime) -> None:
    """Takes the subscription up again; bots that were not destroyed meanwhile run as before."""
    account = await _locked(session, account_id)
    if account is None or account.cancelled_at is None:
        return
    account.cancelled_at = None
    await session.flush()
    bots = await _bots(session, account_id)
    for bot in bots:
        if bot.stage == ACTIVE and not bot.paused:
            await errands.assign(session, bot.id, now)  # its lease has ended, or soon will
    await _look_again(session, context, account_id, bots)
    note(session, now, Deed.ACCOUNT_RESUMED, Plain(), pseudonym(account.id, account.pseudonym_key))
    await tell(session, context, _told(Notice.RESUMED, account))


async def destroy(session: AsyncSession, context: Context, account_id: str, now: datetime) -> int:
    """Begins the end of all bots of the account, because its owner says so; returns of how many."""
    wanted = select(Bot.id, Bot.account_id).where(Bot.account_id == account_id, Bot.stage != DELETING)
    return await _end(session, context, wanted.order_by(Bot.id), now, Deed.BOT_DELETED)


def taker(context: Context) -> Taker:
    """For the retention job: ends bots whose account was cancelled a month ago, less a day for what may go wrong."""

    async def take(session: AsyncSession, job: Job, now: datetime, most: int) -> int:
        (rule,) = job.rules
        wanted = select(Bot.id, Bot.account_id).where(over(rule, now + HEADSTART), Bot.stage != DELETING)
        return await _end(session, context, wanted.order_by(Bot.id).limit(most), now, Deed.BOT_ENDED)

    return take


async def _end(session: AsyncSession, context: Context, wanted: Select[str, str], now: datetime, deed: Deed) -> int:
    found = (await session.execute(wanted)).all()
    for name, account_id in found:
        # The account first, as who takes the subscription up again does: whoever comes back just now keeps the bot.
        account = await session.get(Account, account_id, with_for_update={"read": True}, populate_existing=True)
        bot = await session.get(Bot, name, with_for_update={"key_share": True}, populate_existing=True)
        if account is None or account.cancelled_at is None or bot is None or bot.stage == DELETING:
            continue
        note(session, now, deed, OfBot(bot=bot.id), pseudonym(account.id, account.pseudonym_key))
        _announce(session, context, bot.account_id, bot.node)
        await end(session, bot, now)
    return len(found)


def _told(notice: Notice, account: Account) -> Told:
    return Told(notice=notice, email=account.email, language=account.language, account_id=account.id)


async def _locked(session: AsyncSession, account_id: str) -> Account | None:
    return await session.get(Account, account_id, with_for_update={"key_share": True})


async def _bots(session: AsyncSession, account_id: str) -> Sequence[Bot]:
    return (await session.scalars(select(Bot).where(Bot.account_id == account_id).order_by(Bot.id))).all()


async def _look_again(session: AsyncSession, context: Context, account_id: str, bots: Sequence[Bot]) -> None:
    """Nodes and pages; nodes by name, so that two who do this wait for each other and not in a circle."""
    _announce(session, context, account_id, None)
    for node in sorted({bot.node for bot in bots if bot.node is not None}):
        await touch(session, node)
        _announce(session, context, account_id, node)


def _announce(session: AsyncSession, context: Context, account_id: str, node: str | None) -> None:
    topic = account_topic(account_id) if node is None else node_topic(node)
    after_commit(session, partial(context.hub.announce, topic))
