"""Bots of a lost node go elsewhere, and never run twice.

A node that control has not heard of may still run its bots, and renew their leases at the vault. So first the vault is
told that they are *nobody's*: from then on it renews none of these leases. When that is certain, the last one ends at
most a lease's length later, and by then the node has stopped its containers by its own clock
(:mod:`clawmates.node.leases`). Only then another node is chosen, assigned at the vault, and told.

A row of ``bot_moves`` is where a bot is on this way; every step may be repeated, and any replica may do the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.audit.chain import note, pseudonym_of
from clawmates.control.bots.tables import Bot
from clawmates.control.nodes.placing import SEEN_WITHIN, Stage, place
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import BotMove, Node
from clawmates.control.outbox.outbox import add
from clawmates.wire.deeds import Deed, Moved, OfNode
from clawmates.wire.names import NOBODY

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

LOST_AFTER = timedelta(seconds=60)
"""Of silence."""
MARGIN = timedelta(seconds=60)
"""On top of a lease: a container is given 10 s to end, and clocks do not run equally fast."""
AT_ONCE = 100
"""Bots in one transaction."""
FENCE, SEAT = "fence", "seat"
"""Errands: no node may run the bot; this node may."""
ACTIVE = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigning:
    """The body of both errands."""

    bot: str
    tenant: str
    node: str


def lane(bot: str) -> str:
    """All that is said to the vault of one bot is said in its order."""
    return f"bot/{bot}"


def free_from(fenced_at: datetime, lease: timedelta, margin: timedelta = MARGIN) -> datetime:
    """From when on a bot may run elsewhere, whose last lease was renewed before ``fenced_at``."""
    return fenced_at + lease + margin


async def _say(session: AsyncSession, kind: str, bot: Bot, node: str, now: datetime) -> None:
    body = encode_json(Assigning(bot=bot.id, tenant=bot.account_id, node=node)).decode()
    await add(session, lane(bot.id), kind, body, now=now)


async def lose(session: AsyncSession, now: datetime) -> int:
    """Begins the moves of bots whose node is lost; returns how many. A node that drains is lost like any other.

    Where no other node of the region is awake nothing begins: a bot that cannot run elsewhere is better left alone.
    """
    silent = (Node.seen_at < now - LOST_AFTER) & (Node.stage != Stage.LOST.value)
    gone = update(Node).where(silent).values(stage=Stage.LOST.value).returning(Node.name)
    for name in sorted(await session.scalars(gone)):
        note(session, now, Deed.NODE_LOST, OfNode(node=name))
    lost = select(Node.name).where(Node.stage == Stage.LOST.value)
    awake = select(Node.region).where(
        Node.stage == Stage.SERVING.value, Node.seen_at >= now - SEEN_WITHIN, Node.capacity > 0
    )
    wanted = (
        select(Bot)
        .where(Bot.node.in_(lost), Bot.region.in_(awake), Bot.stage == ACTIVE, Bot.id.not_in(select(BotMove.bot_id)))
        .order_by(Bot.id)
        .limit(AT_ONCE)
    )
    bots = (await session.scalars(wanted)).all()
    for bot in bots:
        await begin(session, bot, now)
    return len(bots)


async def begin(session: AsyncSession, bot: Bot, now: datetime, gone_after: int | None = None) -> None:
    """The first step of a move: the vault is told that no node may run the bot."""
    session.add(BotMove(bot_id=bot.id, origin=bot.node, free_at=None, gone_after=gone_after, target=None))
    await _say(session, FENCE, bot, NOBODY, now)


async def fenced(session: AsyncSession, bot: str, lease: timedelta, now: datetime) -> None:
    """The vault has said that it renews no lease of this bot any more; ``now`` is after its answer."""
    move = await session.get(BotMove, bot, with_for_update=True)
    if move is not None and move.free_at is None:
        move.free_at = free_from(now, lease)


async def settle(session: AsyncSession, now: datetime) -> int:
    """Chooses a node for each bot that may run elsewhere by now; returns for how many there was one."""
    free = (
        select(BotMove, Bot)
        .join(Bot, Bot.id == BotMove.bot_id)
        .where(BotMove.target.is_(None), BotMove.free_at <= now)
        .order_by(BotMove.bot_id)
        .limit(AT_ONCE)
        .with_for_update(of=BotMove, skip_locked=True)
    )
    count = 0
    for move, bot in (await session.execute(free)).all():
        target = await place(session, bot.region, now)
        if target is None and move.gone_after is not None and not await _is_lost(session, move.origin):
            target = move.origin  # the room it was to move to is taken: better there than nowhere
        if target is None:
            continue
        move.target = target
        await _say(session, SEAT, bot, target, now)
        await session.flush()
        count += 1
    return count


async def seated(session: AsyncSession, assigned: Assigning, now: datetime) -> None:
    """The vault gives tickets of this bot to its new node: now the node is told of it."""
    bot, node = assigned.bot, assigned.node
    origin = await session.scalar(select(BotMove.origin).where(BotMove.bot_id == bot))
    # Nodes' rows first, by name, as a report has its node's before it looks at moves: so nobody waits in a circle.
    for one in sorted({origin or node, node}):
        await session.get(Node, one, with_for_update=True)
    move = await session.get(BotMove, bot, with_for_update=True)
    if move is None or move.target != node:
        return
    # Not the owner's change, so the version that browsers compare stays as it is.
    await session.execute(update(Bot).where(Bot.id == bot).values(node=node))
    await session.delete(move)
    if move.origin != node:
        moved = Moved(bot=bot, origin=move.origin, node=node)
        note(session, now, Deed.BOT_MOVED, moved, await pseudonym_of(session, assigned.tenant))
    await touch(session, move.origin)
    await touch(session, node)


async def _is_lost(session: AsyncSession, node: str) -> bool:
    return await session.scalar(select(Node.stage).where(Node.name == node)) == Stage.LOST.value


async def welcome_back(session: AsyncSession, node: Node, now: datetime) -> None:
    """A lost node speaks again: it keeps those of its bots that no other node was chosen for. Its row is locked."""
    if node.stage != Stage.LOST.value:
        return
    node.stage = (Stage.DRAINING if node.drains else Stage.SERVING).value
    note(session, now, Deed.NODE_RETURNED, OfNode(node=node.name))
    mine = (
        update(BotMove)
        .where(BotMove.origin == node.name, BotMove.target.is_(None))
        .values(target=node.name, free_at=None)
        .returning(BotMove.bot_id)
    )
    bots = (await session.scalars(mine)).all()
    for start in range(0, len(bots), AT_ONCE):
        for bot in await session.scalars(select(Bot).where(Bot.id.in_(bots[start : start + AT_ONCE]))):
            await _say(session, SEAT, bot, node.name, now)


async def abandon(session: AsyncSession, bot: str) -> None:
    """The bot goes nowhere: it is being deleted."""
    await session.execute(delete(BotMove).where(BotMove.bot_id == bot))


def assigning_of(body: str) -> Assigning:
    """An errand's body; raises ``ValueError``."""
    return decode_json(Assigning, body.encode())
