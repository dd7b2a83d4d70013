"""Retention jobs in controls that are killed, and in two on one database; and a small life in accelerated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from tests.support.control import a_bot
from tests.support.controlprocess import launch, serving
from tests.support.postgresql import Server, postgresql
from tests.support.replicas import Housed, a_region

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.bots.tables import BotDay
from clawmates.control.retention import taking
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.rules import Bound, Rule, bound
from clawmates.control.retention.tables import RetentionJob, RetentionRun
from clawmates.control.store.database import Database, open_database
from clawmates.control.store.migrate import migrate
from clawmates.trials.retention_life import Life
from clawmates.trials.retention_nights import live

pytestmark = pytest.mark.timeout(300)
JOB, OVER = "message-count", 39
ASLEEP = 60
"""Nights left out on PostgreSQL: after them all spans but that of the counts have gone by, and theirs is to come."""
QUICK = """
import os, signal, datetime, clawmates.control.retention.keeper as keeper
keeper.BATCH, keeper.HOLD, keeper.LOOK_SECONDS = 10, datetime.timedelta(seconds=1), 0.1
"""
DEATH = """
real, left = keeper.{name}, iter(range({nth}))
async def dying(*given, **named):
    mine = {name!r} == "checkpoint" or any(getattr(one, "name", "") == {job!r} for one in given)
    last = mine and next(left, None) is None
    if last and {when!r} == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = await real(*given, **named)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
keeper.{name} = dying
"""
STEPS = (
    ("before", "claim", 0, 0),
    ("after", "take", 0, 0),
    ("before", "step", 1, 10),
    ("after", "step", 1, 20),
    ("before", "checkpoint", 0, OVER),
)
"""When which of its steps is done for the so-manieth time, and how many rows are gone then in all."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Server | None:
    return request.getfixturevalue("server") if request.param == "postgresql" else None


async def overfill(region: Housed) -> None:
    """130 days, of which 39 are over; n days ago there were n messages."""
    today = datetime.now(UTC).date()
    async with region.database.writing() as session:
        session.add(a_bot("b-1", region.account, stage="active"))
        await session.flush()
        rows = [{"bot_id": "b-1", "day": today - timedelta(days=n), "messages": n, "tokens": n} for n in range(130)]
        await session.execute(insert(BotDay), rows)


async def gone(region: Housed) -> tuple[int, int]:
    """How many rows are gone, and how many the runs say that they took."""
    async with region.database.reading() as session:
        left = await session.scalar(select(func.count()).select_from(BotDay)) or 0
        taken = await session.scalar(select(func.sum(RetentionRun.taken)).where(RetentionRun.job == JOB)) or 0
        return 130 - left, int(taken)


async def test_killed_at_any_step_a_run_goes_on_and_says_exactly_what_it_took(place: Server | None) -> None:
    async with a_region(place) as region:
        await overfill(region)
        for when, name, nth, rows in STEPS if place is None else STEPS[1:3]:
            code = QUICK + DEATH.format(when=when, name=name, nth=nth, job=JOB)
            process = await launch(region.house, weaken=f"exec({code!r})")
            async with asyncio.timeout(60):
                assert await process.wait() == -9, (when, name)
            assert await gone(region) == (rows, rows), (when, name)
        quick = f"exec({QUICK!r})"
        async with (
            serving(region.house, weaken=quick, name="notify-a"),
            serving(region.house, weaken=quick, name="notify-b"),
            asyncio.timeout(60),
        ):
            while not await ended(region):  # noqa: ASYNC110 - other processes change
                await asyncio.sleep(0.05)
        assert await gone(region) == (OVER, OVER)
        async with region.database.reading() as session:
            (run,) = await session.scalars(select(RetentionRun).where(RetentionRun.job == JOB))
            assert await session.scalar(select(func.sum(BotDay.messages))) == sum(range(91))
        assert run.taken == OVER, "several deaths and two replicas later it is one run"


async def ended(region: Housed) -> bool:
    async with region.database.reading() as session:
        return await session.scalar(select(RetentionJob.ended_at).where(RetentionJob.job == JOB)) is not None


@asynccontextmanager
async def empty(place: Server | None, folder: Path) -> AsyncIterator[Database]:
    database = open_database(place.fresh(folder) if place is not None else Control(), State(folder))
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()


@pytest.mark.timeout(600)
async def test_a_hundred_people_leave_exactly_what_is_declared_each_night(place: Server | None, tmp_path: Path) -> None:
    async with empty(place, tmp_path) as database:
        life, asleep = Life(people=100, days=95), 0 if place is None else ASLEEP
        found = await live(database, life, tmp_path, check_every=1, asleep=asleep)
    assert (found.overdue, found.counts_off, found.looked) == (0, 0, life.days - asleep)
    assert found.taken > 500
    assert found.gone


@pytest.mark.parametrize(("defect", "asleep", "shows"), [("comparison", 89, "counts_off"), ("idle", 0, "overdue")])
async def test_a_job_that_takes_too_much_or_nothing_is_found_out(
    defect: str, asleep: int, shows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weakened builds."""

    def inclusive(rule: Rule, now: datetime) -> Bound:
        return Bound(bound(rule, now).value, inclusive=True)

    async def idle(_keeper: Keeper) -> dict[str, int]:
        return {}

    if defect == "comparison":
        monkeypatch.setattr(taking, "bound", inclusive)
    else:
        monkeypatch.setattr(Keeper, "round", idle)
    async with empty(None, tmp_path) as database:
        life = Life(people=3, days=asleep + 3)
        found = await live(database, life, tmp_path, check_every=life.days, asleep=asleep)
    assert getattr(found, shows) > 0
