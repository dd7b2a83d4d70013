"""A node that is to be empty: its bots move one by one, each as soon as the node says that the old container is gone.

As from a lost node (:mod:`clawmates.control.nodes.moving`): the vault is told first that the bot is nobody's, and a row
of ``bot_moves`` takes it out of the node's desired state. But this node is there: once it knows that revision, and says
the bot no more to be leaving, container and door are gone. Nobody need wait for the lease's end. A node
that falls silent meanwhile is one that is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from clawmates.control.audit.chain import note
from clawmates.control.bots.tables import Bot
from clawmates.control.nodes import moving
from clawmates.control.nodes.placing import Stage, place
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import BotMove, Node
from clawmates.wire.deeds import Deed, OfNode

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.wire.control import Report


async def drain(session: AsyncSession, name: str, now: datetime, *, wanted: bool) -> bool:
    """The operator's word, either way; whether there is such a node. Moves under way are finished."""
    node = await session.get(Node, name, with_for_update=True)
    if node is None:
        return False
    if node.drains != wanted:
        node.drains = wanted
        if node.stage != Stage.LOST.value:
            node.stage = (Stage.DRAINING if wanted else Stage.SERVING).value
        note(session, now, Deed.NODE_DRAINED if wanted else Deed.NODE_KEPT, OfNode(node=name))
    return True


async def to_do(session: AsyncSession) -> bool:
    """Whether any node that drains has a bot, and none of its bots is on its way."""
    return bool(await session.scalar(select(func.count()).select_from(Node).where(*_ready())))


async def step(session: AsyncSession, now: datetime) -> int:
    """Begins the next move of each node that drains and has none under way; returns how many."""
    count = 0
    for name in (await session.scalars(select(Node.name).where(*_ready()).order_by(Node.name))).all():
        await session.get(Node, name, with_for_update=True)
        # Another replica may have begun since; and what cannot run elsewhere is better left where it is.
        begun = await session.scalar(select(BotMove.bot_id).where(BotMove.origin == name).limit(1))
        mine = select(Bot).where(Bot.node == name, Bot.stage == moving.ACTIVE).order_by(Bot.id).limit(1)
        bot = await session.scalar(mine)
        if begun is not None or bot is None or await place(session, bot.region, now) is None:
            continue
        await touch(session, name)
        revision = await session.scalar(select(Node.revision).where(Node.name == name))
        await moving.begin(session, bot, now, gone_after=revision)
        await session.flush()
        count += 1
    return count


async def gone(session: AsyncSession, node: Node, report: Report, now: datetime) -> None:
    """The node's own word, in the transaction of its report: what is not leaving any more has left. Its row is locked.

    It counts once the vault has said that it gives nobody a ticket of that bot: else the node could run it again.
    """
    if report.leaving is None:
        return
    waiting = select(BotMove).where(
        BotMove.origin == node.name,
        BotMove.target.is_(None),
        BotMove.gone_after <= report.revision,
        BotMove.free_at > now,
        BotMove.bot_id.not_in(report.leaving),
    )
    for move in await session.scalars(waiting.with_for_update()):
        move.free_at = now


def _ready() -> tuple[ColumnElement[bool], ...]:
    return (
        Node.stage == Stage.DRAINING.value,
        exists().where(Bot.node == Node.name, Bot.stage == moving.ACTIVE),
        ~exists().where(BotMove.origin == Node.name),
    )
