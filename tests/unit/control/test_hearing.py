from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlalchemy import select
from tests.support.control import NOON, Place, a_bot, a_node, a_place
from tests.unit.control.test_store import account

from clawmates.control.bots.tables import BotDay, BotError, BotState
from clawmates.control.nodes.hearing import hear, meet
from clawmates.wire.control import BotReport, BotTrouble, Count, Report
from clawmates.wire.status import BotState as State

RUN = "0" * 32
REPORT = Report(
    run=RUN,
    number=1,
    revision=3,
    capacity=7,
    bots=(BotReport(bot="mine", state=State.LIVE, username="ada_bot"), BotReport(bot="other", state=State.LIVE)),
    counts=(
        Count(bot="mine", day="2026-11-30", messages=2, tokens=20),
        Count(bot="mine", day="2026-11-29", messages=1, tokens=5),
        Count(bot="mine", day="1999-01-01", messages=1, tokens=1),
        Count(bot="other", day="2026-11-30", messages=9, tokens=9),
    ),
    troubles=(BotTrouble(bot="mine", code="filtered"), BotTrouble(bot="nobodys", code="filtered")),
)


async def tell(here: Place, report: Report, node: str = "node-1") -> frozenset[str]:
    async with here.database.writing() as session:
        row = await meet(session, node, "eu-test", here.clock.now())
        return await hear(session, row, report, here.clock.now())


async def counted(here: Place) -> dict[date, tuple[int, int]]:
    async with here.database.reading() as session:
        return {one.day: (one.messages, one.tokens) for one in await session.scalars(select(BotDay))}


async def test_a_report_counts_once_and_only_for_the_nodes_own_bots(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here:
        async with here.database.writing() as session:
            session.add_all((account(), a_node("node-1"), a_node("node-2")))
            await session.flush()
            session.add_all((a_bot("mine", node="node-1"), a_bot("other", node="node-2")))
        once = {NOON.date(): (3, 21), date(2026, 11, 29): (1, 5)}
        assert await tell(here, REPORT) == {"a-1"}
        assert await counted(here) == once
        await tell(here, REPORT)
        assert await counted(here) == once
        here.clock.forward(seconds=5)
        worse = (BotReport(bot="mine", state=State.DEGRADED, code="bad-key"),)
        await tell(here, replace(REPORT, bots=worse))  # said again, and meanwhile it looks different
        assert await counted(here) == once
        await tell(here, replace(REPORT, number=2, bots=(), troubles=()))
        assert (await counted(here))[NOON.date()] == (6, 42)
        await tell(here, replace(REPORT, bots=REPORT.bots))  # overtaken
        async with here.database.reading() as session:
            (state,) = await session.scalars(select(BotState))
            assert (state.bot_id, state.state, state.code, state.username) == ("mine", "degraded", "bad-key", "ada_bot")
            assert state.since == here.clock.now()
            assert [one.code for one in await session.scalars(select(BotError))] == ["filtered"]
            node = await meet(session, "node-1", "eu-test", NOON)
            assert (node.capacity, node.seen_revision, node.seen_at) == (7, 3, here.clock.now())
        await tell(here, replace(REPORT, run="1" * 32))
        assert (await counted(here))[NOON.date()] == (9, 63), "a host that booted counts from the beginning"


async def test_a_node_is_known_from_its_first_word(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here:
        assert await tell(here, REPORT, "node-9") == frozenset()
        async with here.database.reading() as session:
            node = await meet(session, "node-9", "eu-test", NOON)
            assert (node.stage, node.capacity, node.revision, node.joined_at) == ("serving", 7, 1, NOON)
