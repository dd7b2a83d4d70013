"""What a replica does beside answering: errands, and the end of what has come to its end."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from clawmates.base.hardening import place_of
from clawmates.control.accounts.expiry import expire
from clawmates.control.audit import meeting
from clawmates.control.audit.meeting import Countersign
from clawmates.control.bots import errands as bots
from clawmates.control.bots.tables import BotDay, BotError, BotPairing
from clawmates.control.mail import notices
from clawmates.control.mail.errands import KIND, MailHandler
from clawmates.control.mail.post import post_of
from clawmates.control.nodes import errands as nodes
from clawmates.inventory.control import COUNTS, ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context
    from clawmates.control.outbox.outbox import Handler
    from clawmates.wire.notary import Notary

EXPIRE_SECONDS = 60.0


def handlers(context: Context, notary: Notary, *, terminal: int = -1) -> Mapping[str, Handler]:
    """By kind of errand. ``terminal`` is a descriptor of the terminal that links are shown on where no mail is sent."""
    post = post_of(context.settings, context.clock, context.random, terminal=terminal)
    lease = timedelta(seconds=context.settings.control.lease_seconds)
    return {
        KIND: MailHandler(context, post),
        notices.KIND: notices.NoticeHandler(context, post),
        meeting.KIND: Countersign(context.database, context.vault, notary, context.clock),
        **bots.handlers(context),
        **nodes.handlers(context.vault, context.clock, lease),
    }


async def keep_short(context: Context) -> None:
    """Every minute, for ever; a database that is away is tried again."""
    while True:
        try:
            async with context.database.writing() as session:
                await forget(session, context.clock.now())
        except (SQLAlchemyError, OSError) as error:
            sys.stderr.write(f"nothing was taken away: {place_of(error)}\n")
        await asyncio.sleep(EXPIRE_SECONDS)


async def forget(session: AsyncSession, now: datetime) -> None:
    """Takes away what the inventory says has come to its end."""
    await expire(session, now)
    await session.execute(delete(BotPairing).where(BotPairing.ends_at <= now))
    await session.execute(delete(BotError).where(BotError.at <= now - ERRORS))
    await session.execute(delete(BotDay).where(BotDay.day < (now - COUNTS).date()))
