"""What a node says of itself and its bots, written down: in one transaction, and its counts once only."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.control.audit.chain import note
from clawmates.control.bots.tables import Bot, BotDay, BotError, BotState
from clawmates.control.nodes.placing import Stage
from clawmates.control.nodes.tables import Node
from clawmates.wire.deeds import Deed, OfNode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.wire.control import BotReport, BotTrouble, Count, Report

AT_ONCE = 500
"""Bots in one statement."""
DAYS_OFF = timedelta(days=2)
"""A node's clock may be wrong by so much; what it counts on a day further away is counted today."""


async def meet(session: AsyncSession, name: str, region: str, now: datetime) -> Node:
    """The node's row, locked, made at its first word: known by its certificate, and by nothing that it says."""
    node = await session.get(Node, name, with_for_update=True)
    if node is None:
        node = Node(
            name=name,
            region=region,
            stage=Stage.SERVING.value,
            drains=False,
            capacity=0,
            revision=1,
            seen_revision=0,
            release="",
            report_run="",
            report_number=0,
            joined_at=now,
            seen_at=now,
        )
        session.add(node)
        note(session, now, Deed.NODE_JOINED, OfNode(node=name))
        await session.flush()
    return node


async def hear(session: AsyncSession, node: Node, report: Report, now: datetime) -> frozenset[str]:
    """Writes a report down; returns the accounts that should look again. Bots of other nodes are passed over."""
    node.seen_at = now
    same_run = report.run == node.report_run
    if same_run and report.number < node.report_number:
        return frozenset()  # overtaken by a later one
    fresh = not same_run or report.number > node.report_number
    node.seen_revision, node.capacity, node.release = report.revision, report.capacity, report.release
    node.report_run, node.report_number = report.run, report.number
    spoken_of = {
        *(one.bot for one in report.bots),
        *(one.bot for one in report.counts),
        *(one.bot for one in report.troubles),
    }
    owners = await _owners(session, node.name, spoken_of)
    await _states(session, node.name, [one for one in report.bots if one.bot in owners], now)
    if fresh:
        await _counts(session, [one for one in report.counts if one.bot in owners], now.date())
        _troubles(session, [one for one in report.troubles if one.bot in owners], now)
    return frozenset(owners.values())


async def _owners(session: AsyncSession, node: str, bots: Collection[str]) -> dict[str, str]:
    """The account of each of these bots that is this node's."""
    found: dict[str, str] = {}
    for some in _chunks(sorted(bots)):
        wanted = select(Bot.id, Bot.account_id).where(Bot.node == node, Bot.id.in_(some))
        found.update((await session.execute(wanted)).all())
    return found


def _chunks(bots: Sequence[str]) -> Iterator[Sequence[str]]:
    return (bots[start : start + AT_ONCE] for start in range(0, len(bots), AT_ONCE))


async def _states(session: AsyncSession, node: str, reports: list[BotReport], now: datetime) -> None:
    before: dict[str, BotState] = {}
    for some in _chunks([one.bot for one in reports]):
        before |= {one.bot_id: one for one in await session.scalars(select(BotState).where(BotState.bot_id.in_(some)))}
    for one in reports:
        known = before.get(one.bot)
        if known is None:
            session.add(
                BotState(
                    bot_id=one.bot,
                    node=node,
                    state=one.state.value,
                    code=one.code,
                    username=one.username,
                    since=now,
                    reported_at=now,
                )
            )
            continue
        if (known.state, known.code, known.node) != (one.state.value, one.code, node):
            known.since = now
        known.node, known.state, known.code, known.reported_at = node, one.state.value, one.code, now
        known.username = one.username or known.username


async def _counts(session: AsyncSession, counts: list[Count], today: date) -> None:
    sums: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for one in counts:
        total = sums[one.bot, _day(one.day, today)]
        total[0] += one.messages
        total[1] += one.tokens
    before: dict[tuple[str, date], BotDay] = {}
    days = {day for _, day in sums}
    for some in _chunks(sorted({bot for bot, _ in sums})):
        there = select(BotDay).where(BotDay.bot_id.in_(some), BotDay.day.in_(days))
        before |= {(one.bot_id, one.day): one for one in await session.scalars(there)}
    for (bot, day), (messages, tokens) in sums.items():
        # Only the bot's own node writes here, and that node's row is locked: nobody else adds the same row.
        known = before.get((bot, day))
        if known is None:
            session.add(BotDay(bot_id=bot, day=day, messages=messages, tokens=tokens))
        else:
            known.messages += messages
            known.tokens += tokens


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return day if abs(day - today) <= DAYS_OFF else today


def _troubles(session: AsyncSession, troubles: list[BotTrouble], now: datetime) -> None:
    session.add_all(BotError(bot_id=one.bot, at=now, code=one.code) for one in troubles)
