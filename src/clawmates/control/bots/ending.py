"""The end of a bot: its node stops it, the vault destroys its keys, and then its rows go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.control.bots import errands, queries
from clawmates.control.bots.errands import DELETING, DRAFT
from clawmates.control.nodes.moving import abandon

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.bots.tables import Bot


async def end(session: AsyncSession, bot: Bot, now: datetime) -> bool:
    """Begins it; its row is locked. Of a draft there is nothing at the vault: it is gone at once, and that is true."""
    if bot.stage == DRAFT:
        await session.delete(bot)
        await session.flush()
        return True
    if bot.stage != DELETING:
        bot.stage = DELETING
        await queries.save(session, bot, now)  # before any errand is added, or its version would be raised twice
        await abandon(session, bot.id)
        await errands.destroy(session, bot.id, now)
    return False
