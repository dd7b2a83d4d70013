"""Rows that are over: taken away in bounded batches, counted, or only counted."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, exists, func, literal, or_, select, tuple_

from clawmates.control.retention.rules import bound
from clawmates.control.retention.statements import RUNS
from clawmates.control.store.tables import METADATA

if TYPE_CHECKING:
    from datetime import date, datetime

    from sqlalchemy import BindParameter, ColumnElement, Delete, Executable, Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.retention.rules import Job, Rule


async def take(session: AsyncSession, job: Job, now: datetime, most: int) -> int:
    """Takes at most so many rows away; returns how many. Fewer than ``most``: none is left."""
    taken = 0
    for rule in job.rules:
        taken += await _take(session, rule, now, most - taken)
    return taken


async def _take(session: AsyncSession, rule: Rule, now: datetime, most: int) -> int:
    if most <= 0:
        return 0
    limit = bound(rule, now)
    # Of the connection itself: no row of these is held as an object by whoever takes them away.
    connection = await session.connection()
    values = {"value": limit.value, "most": most}
    return (await connection.execute(_deletion(rule, inclusive=limit.inclusive), values)).rowcount


@cache
def _deletion(rule: Rule, *, inclusive: bool) -> Delete:
    """Made once for each rule: a dozen are asked every minute, mostly for nothing."""
    table = METADATA.tables[rule.table]
    key = tuple(table.primary_key.columns)
    # Neither database has a DELETE with a LIMIT that both understand.
    some = select(*key).where(_over(rule, bindparam("value"), inclusive=inclusive)).limit(bindparam("most"))
    which = key[0].in_(some) if len(key) == 1 else tuple_(*key).in_(some)
    return delete(table).where(which)


async def idle_of(session: AsyncSession, jobs: tuple[Job, ...], now: datetime) -> list[Job]:
    """Which of these have nothing to do: no row is over, and no run was broken off."""
    limits = [bound(rule, now) for job in jobs for rule in job.rules]
    wanted = _busy(jobs, tuple(limit.inclusive for limit in limits))
    values = {f"value{number}": limit.value for number, limit in enumerate(limits)}
    found = (await (await session.connection()).execute(wanted, values)).one()
    return [job for job, busy in zip(jobs, found, strict=True) if not busy]


@lru_cache(maxsize=16)
def _busy(jobs: tuple[Job, ...], inclusive: tuple[bool, ...]) -> Executable:
    """One row: for each job whether there is anything to do."""
    number, columns = 0, []
    for job in jobs:
        ways: list[ColumnElement[bool]] = []
        for rule in job.rules:
            ended = _over(rule, bindparam(f"value{number}"), inclusive=inclusive[number])
            ways.append(exists(select(literal(1)).select_from(METADATA.tables[rule.table]).where(ended)))
            number += 1
        newest = select(RUNS.c.number).where(RUNS.c.job == job.name).order_by(RUNS.c.number.desc()).limit(1)
        ways.append(
            exists(select(literal(1)).where(RUNS.c.number == newest.scalar_subquery(), RUNS.c.ended_at.is_(None)))
        )
        columns.append(or_(*ways))
    return select(*columns)


async def overdue(session: AsyncSession, job: Job, now: datetime) -> int:
    """How many rows are there that are over."""
    found, connection = 0, await session.connection()
    for rule in job.rules:
        limit = bound(rule, now)
        counted = await connection.scalar(_number(rule, inclusive=limit.inclusive), {"value": limit.value})
        found += counted or 0
    return found


@cache
def _number(rule: Rule, *, inclusive: bool) -> Select[int]:
    ended = _over(rule, bindparam("value"), inclusive=inclusive)
    return select(func.count()).select_from(METADATA.tables[rule.table]).where(ended)


def over(rule: Rule, now: datetime) -> ColumnElement[bool]:
    """Which rows of the rule's table are over at that moment."""
    limit = bound(rule, now)
    return _over(rule, limit.value, inclusive=limit.inclusive)


def _over(
    rule: Rule, value: date | datetime | BindParameter[date | datetime], *, inclusive: bool
) -> ColumnElement[bool]:
    own = METADATA.tables[rule.table].c
    said = METADATA.tables[rule.through[1]].c if rule.through is not None else own
    column = said[rule.column]
    ended: ColumnElement[bool] = column <= value if inclusive else column < value
    if rule.through is not None:
        ended = own[rule.through[0]].in_(select(said.id).where(ended))
    return ended if rule.only is None else ended & (own[rule.only[0]] == rule.only[1])
