"""What one node should run: rows into the document that travels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.accounts.tables import Account
from clawmates.control.bots.spec import bot_spec
from clawmates.control.bots.tables import Bot, BotItem, BotPairing
from clawmates.control.nodes.tables import BotMove, Node
from clawmates.wire.desired import DesiredState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

ACTIVE = "active"
"""The stage of a bot that may run."""


async def revision_of(session: AsyncSession, node: str) -> int | None:
    """The newest revision of a node's desired state; ``None`` for a node that was never seen."""
    return await session.scalar(select(Node.revision).where(Node.name == node))


async def desired_of(session: AsyncSession, node: str, now: datetime) -> DesiredState:
    """All bots that ``node`` should hold, paused ones too; not those that are just being moved away.

    Revision and bots are of one moment where the session's transaction is (SQLite; PostgreSQL at REPEATABLE READ); else
    the revision is read first, so that it is never newer than the bots: what came in between comes again.
    """
    revision = await revision_of(session, node) or 0
    moving = select(BotMove.bot_id)
    mine = (Bot.node == node) & (Bot.stage == ACTIVE) & Bot.id.not_in(moving)
    bots = (await session.scalars(select(Bot).where(mine).order_by(Bot.id))).all()
    items: dict[str, list[BotItem]] = defaultdict(list)
    for item in await session.scalars(select(BotItem).join(Bot, Bot.id == BotItem.bot_id).where(mine)):
        items[item.bot_id].append(item)
    pairings: dict[str, list[BotPairing]] = defaultdict(list)
    alive = select(BotPairing).join(Bot, Bot.id == BotPairing.bot_id).where(mine, BotPairing.ends_at > now)
    for pairing in await session.scalars(alive):
        pairings[pairing.bot_id].append(pairing)
    cancelled = select(Account.id).where(
        Account.cancelled_at.is_not(None), Account.id.in_(select(Bot.account_id).where(mine))
    )
    stopped = set(await session.scalars(cancelled))
    specs = (bot_spec(bot, items[bot.id], pairings[bot.id], now, stopped=bot.account_id in stopped) for bot in bots)
    return DesiredState(revision=revision, bots=tuple(spec for spec in specs if spec is not None))
