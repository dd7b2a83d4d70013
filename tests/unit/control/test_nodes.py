from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.control import NOON, a_bot, a_node, a_place
from tests.unit.control.test_store import account

from clawmates.control.bots.tables import BotItem, BotPairing
from clawmates.control.hub import Hub, account_topic, node_topic
from clawmates.control.nodes.desired import desired_of, revision_of
from clawmates.control.nodes.placing import Candidate, choose, place
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import BotMove
from clawmates.wire.names import ItemName

NODE = Candidate(name="node-1", region="eu", stage="serving", capacity=10, bots=5, seen_at=NOON)


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ((), "node-1"),
        ((replace(NODE, name="a", bots=5),), "a"),
        ((replace(NODE, name="z", bots=4),), "z"),
        ((replace(NODE, name="z", capacity=100, bots=40),), "z"),
        ((replace(NODE, name="a", bots=10),), "node-1"),
        ((replace(NODE, name="a", bots=0, capacity=0),), "node-1"),
        ((replace(NODE, name="a", bots=0, region="us"),), "node-1"),
        ((replace(NODE, name="a", bots=0, stage="draining"),), "node-1"),
        ((replace(NODE, name="a", bots=0, stage="lost"),), "node-1"),
        ((replace(NODE, name="a", bots=0, seen_at=NOON - timedelta(seconds=61)),), "node-1"),
    ],
)
def test_a_bot_goes_to_the_least_loaded_node_that_is_there(others: tuple[Candidate, ...], chosen: str) -> None:
    assert choose((NODE, *others), "eu", NOON) == chosen
    assert choose((), "eu", NOON) is None


async def test_placing_counts_what_each_node_holds(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here, here.database.writing() as session:
        session.add_all((account(), a_node("node-1", capacity=2), a_node("node-2", capacity=2)))
        await session.flush()
        for number, wanted in enumerate(("node-1", "node-2", "node-1", "node-2", None)):
            found = await place(session, "eu-test", NOON)
            assert found == wanted
            session.add(a_bot(f"bot-{number}", node=found))
            await session.flush()
        assert await place(session, "eu-west", NOON) is None


async def test_a_node_is_told_of_its_own_active_bots_and_of_what_the_vault_keeps(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here:
        async with here.database.writing() as session:
            session.add_all((account(), a_node("node-1"), a_node("node-2")))
            await session.flush()
            session.add_all(
                (
                    a_bot("lives", node="node-1", limits='{"messages_per_day": 5}', temperature=0.5),
                    a_bot("waits", node="node-1"),
                    a_bot("draft", node="node-1", stage="draft"),
                    a_bot("moves", node="node-1"),
                    a_bot("other", node="node-2"),
                )
            )
            await session.flush()

            def item(bot: str, name: str, version: int, kept: int) -> BotItem:
                return BotItem(bot_id=bot, name=name, version=version, kept=kept, trouble="", changed_at=NOON)

            session.add_all((item("lives", "provider-key", 3, 2), item("lives", "prompt", 1, 0)))
            session.add(item("waits", "provider-key", 1, 0))
            session.add(BotMove(bot_id="moves", origin="node-1", free_at=None, target=None))
            for number, hours in enumerate((-1, 1, 2, 3, 4)):
                ends = NOON + timedelta(hours=hours)
                digits = f"{number}" * 64
                session.add(BotPairing(salt=digits, bot_id="lives", digest=digits, ends_at=ends))
            await touch(session, "node-1")
            await touch(session, None)
        async with here.database.reading() as session:
            desired = await desired_of(session, "node-1", NOON)
            assert await revision_of(session, "node-2") == 1
            assert await revision_of(session, "node-9") is None
    assert desired.revision == 2
    (bot,) = desired.bots
    assert (bot.id, bot.tenant, bot.items, bot.limits.messages_per_day) == (
        "lives",
        "a-1",
        {ItemName.PROVIDER_KEY: 2},
        5,
    )
    assert [one.salt[0] for one in bot.pairings] == ["2", "3", "4"]
    assert bot.pairings[0].ends == "2026-11-30T14:00:00Z"


async def test_who_waits_hears_of_what_another_replica_wrote(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here:
        async with here.database.writing() as session:
            session.add_all((account(), a_node()))
            await session.flush()
            session.add(a_bot("one", node="node-1"))
        hub = Hub(here.database)
        async with hub.watch(node_topic("node-1")) as node, hub.watch(account_topic("a-1")) as mine:
            await hub.look()
            assert not await node.changed(0)
            assert not await mine.changed(0)
            async with here.database.writing() as session:
                await touch(session, "node-1")
            await hub.look()
            assert await node.changed(5)
            assert not await node.changed(0)
            assert not await mine.changed(0)
            async with here.database.writing() as session:
                session.add(a_bot("two"))
            await hub.look()
            assert await mine.changed(5)
            assert not await node.changed(0)
            hub.announce(account_topic("a-1"))
            assert await mine.changed(5)
        assert hub.waiting == 0


async def test_news_between_reading_and_waiting_are_not_missed(tmp_path: Path) -> None:
    async with a_place(tmp_path) as here:
        async with here.database.writing() as session:
            session.add(a_node())
        hub = Hub(here.database)
        keeping = asyncio.create_task(hub.keep())
        async with hub.watch(node_topic("node-1")) as news:
            async with here.database.writing() as session:
                await touch(session, "node-1")
            assert await news.changed(10)
        keeping.cancel()
        await asyncio.wait({keeping})
