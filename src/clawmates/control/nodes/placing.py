"""Which node a bot is given: of its region, awake, with room, and the least loaded of these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.control.bots.tables import Bot
from clawmates.control.nodes.tables import BotMove, Node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

SEEN_WITHIN = timedelta(seconds=60)
"""A node that has been silent for longer is given nothing new."""


class Stage(StrEnum):
    """What a node is there for."""

    SERVING = "serving"
    DRAINING = "draining"
    """It takes no new bots."""
    LOST = "lost"
    """Silent for so long that its bots are being moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One node as it is now. ``capacity`` and ``bots`` are counts."""

    name: str
    region: str
    stage: str
    capacity: int
    bots: int
    seen_at: datetime


def choose(candidates: Iterable[Candidate], region: str, now: datetime) -> str | None:
    """The name of the least loaded that may take one more bot; of equals the first by name. ``None``: there is none."""
    able = [
        one
        for one in candidates
        if one.region == region
        and one.stage == Stage.SERVING
        and now - one.seen_at <= SEEN_WITHIN
        and one.bots < one.capacity
    ]
    best = min(able, key=lambda one: (one.bots / one.capacity, one.name), default=None)
    return best.name if best is not None else None


async def place(session: AsyncSession, region: str, now: datetime) -> str | None:
    """The node for one more bot of ``region``; the caller writes it into the bot's row in the same transaction.

    Two replicas on PostgreSQL may both give away the last place of a node: a capacity is advice, not a wall.
    """
    held = select(Bot.node, func.count().label("bots")).group_by(Bot.node).subquery()
    coming = select(BotMove.target, func.count().label("bots")).group_by(BotMove.target).subquery()
    bots = func.coalesce(held.c.bots, 0) + func.coalesce(coming.c.bots, 0)
    rows = await session.execute(
        select(Node.name, Node.region, Node.stage, Node.capacity, Node.seen_at, bots)
        .outerjoin(held, held.c.node == Node.name)
        .outerjoin(coming, coming.c.target == Node.name)
        .where(Node.region == region)
    )
    candidates = [
        Candidate(name=name, region=where, stage=stage, capacity=capacity, bots=bots, seen_at=seen_at)
        for name, where, stage, capacity, seen_at, bots in rows
    ]
    return choose(candidates, region, now)
