"""Bots that end for good: how it is known that their containers are gone, before anybody says so.

The node's own word counts, once it knows the revision in which it was told; where it is silent, the end of the last
lease that it can have, which the vault renews no more. What waits is a row of ``bot_ends``, which outlives the bot's.

A wall clock that jumps must not end a lease on paper that still runs on a host. So that end is not a moment in a row:
it is time that really goes by while somebody watches (:class:`Watch`), and who starts anew watches anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from clawmates.control.nodes.moving import MARGIN, abandon
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import BotEnd, Node
from clawmates.wire.erasure import Ended, EndedBot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.wire.control import Report


async def end(session: AsyncSession, bots: Mapping[str, str | None], reason: str) -> None:
    """Begins to wait for these bots (node by id), whose rows say already that they are not wanted. Tells their nodes.

    Moves are given up: where a bot was is where its container may be.
    """
    revisions: dict[str, int] = {}
    for name in sorted({node for node in bots.values() if node}):
        await touch(session, name)
        revisions[name] = await session.scalar(select(Node.revision).where(Node.name == name)) or 0
    for bot, node in bots.items():
        await abandon(session, bot)
        if await session.get(BotEnd, bot) is not None:
            continue
        session.add(
            BotEnd(
                bot_id=bot,
                reason=reason,
                node=node or "",
                gone_after=revisions.get(node or "", 0),
                ended_by="" if node else Ended.NOWHERE.value,
            )
        )
    await session.flush()


async def hear(session: AsyncSession, node: str, report: Report) -> None:
    """The node's own word, in the transaction of its report: what is not leaving any more has left."""
    if report.leaving is None:
        return
    waiting = (BotEnd.node == node, BotEnd.ended_by == "", BotEnd.gone_after <= report.revision)
    found = await session.scalars(select(BotEnd).where(*waiting, BotEnd.bot_id.not_in(report.leaving)))
    for one in found:
        one.ended_by = Ended.NODE.value


@dataclass(frozen=True, slots=True)
class Watch:
    """How long this process has waited for each end, by the clock that never jumps.

    It begins with the first look, which must come after the vault has said that it renews no lease of these bots.
    """

    _since: dict[str, float] = field(default_factory=dict)

    def lease_is_over(self, reason: str, lease: timedelta, at: float) -> bool:
        """Whether the last lease that any of them can have has ended, and the margin with it."""
        return at - self._since.setdefault(reason, at) >= (lease + MARGIN).total_seconds()

    def forget(self, reason: str) -> None:
        """It was said."""
        self._since.pop(reason, None)


async def unheard_of(session: AsyncSession, reason: str) -> bool:
    """Whether there is one among them whose node has not said that it is gone."""
    wanted = select(BotEnd.bot_id).where(BotEnd.reason == reason, BotEnd.ended_by == "")
    return await session.scalar(wanted.limit(1)) is not None


async def ended(session: AsyncSession, reason: str) -> tuple[EndedBot, ...]:
    """How each of them ended, once none is running; what no node has spoken of ended with its lease."""
    found = await session.scalars(select(BotEnd).where(BotEnd.reason == reason).order_by(BotEnd.bot_id))
    return tuple(EndedBot(bot=one.bot_id, by=Ended(one.ended_by or Ended.LEASE)) for one in found)


async def forget(session: AsyncSession, reason: str) -> None:
    """It was said."""
    await session.execute(delete(BotEnd).where(BotEnd.reason == reason))
