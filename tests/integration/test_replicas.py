"""Control survives: killed at every step of a launch, and several replicas on one database are one control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Self

import pytest
from sqlalchemy import select
from tests.support.control import a_bot
from tests.support.controlprocess import RUN, Control, launch, serving
from tests.support.forked import Process
from tests.support.launching import SECRETS
from tests.support.postgresql import Server, postgresql
from tests.support.replicas import QUICK, Housed, Region, a_region, dies

from clawmates.base.shape import decode_json
from clawmates.control.audit.tables import AuditEntry
from clawmates.control.erasure.tables import Erasure
from clawmates.wire.control import Report
from clawmates.wire.desired import DesiredState
from clawmates.wire.erasure import Ended, ErasureReceipt, Log, check
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.receipt import MAX_RECEIPT
from clawmates.wire.vault import Redemption, TicketRequest

pytestmark = pytest.mark.timeout(300)
UNDONE = "after bots.queries:save"
STEPS = (
    UNDONE,
    "before outbox.worker:Worker._do",
    "after bots.errands:Assign.do",
    "before bots.errands:Assign.settle",
    "after bots.errands:Put.do",
    "after bots.errands:Put.settle",
    "after outbox.worker:Worker._settle",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Server | None:
    return request.getfixturevalue("server") if request.param == "postgresql" else None


ERRANDS = (
    "before erasure.telling:TellHandler.do",
    "after erasure.steps:Keys.do",
    "after erasure.steps:Rows.settle",
    "after erasure.steps:Bytes.do",
    "after erasure.steps:Seal.do",
)
"""Where a control is killed that carries a deletion out: once in each of its errands."""


async def opens(region: Housed, bot: str) -> None:
    """The node that was given the bot opens exactly what was sealed."""
    ticket = await region.vault.node.ticket(TicketRequest(bot=bot, generation=1, items=dict.fromkeys(SECRETS, 1)))
    opened = await region.vault.mate.redeem(Redemption(bot=bot, ticket=ticket.ticket))
    assert {item.name: item.value.reveal() for item in opened.items} == SECRETS


async def test_killed_at_any_step_a_launch_is_whole_or_not_there(place: Server | None) -> None:
    async with a_region(place) as region:
        for step in STEPS if place is None else STEPS[::5]:
            bot = await region.draft()
            async with serving(region.house, weaken=dies(step, bot)) as control:
                status, _ = await region.launch(control, bot)
                async with asyncio.timeout(60):
                    assert await control.process.wait() == -9, step
            assert await region.untouched(bot) is (step == UNDONE), step
            assert status == 0 or step != UNDONE, "nobody was told of what was not done"
        async with serving(region.house, weaken=QUICK, silent=False) as control:
            if place is not None:
                with place.away(region.house.root):
                    status, page = await region.ask(control, "GET", f"/bots/{region.made[0]}/seal")
                    assert (status, b"Nothing was half done" in page) == (503, True)
            assert (await region.launch(control, region.made[0]))[0] == 200, "once more, by the same page"
            for bot in region.made:
                await region.until_kept(bot)
                await opens(region, bot)
                assert (await region.row(bot)).node == "node-1"
                assert b"Starting" in (await region.ask(control, "GET", f"/bots/{bot}"))[1]


async def test_killed_in_each_errand_a_deletion_ends_in_one_true_receipt() -> None:
    async with a_region(None) as region:
        async with region.database.writing() as session:
            session.add(a_bot("b-gone", region.account))
        await region.vault.fill("b-gone", region.account)
        first, *rest = (dies(step, '"erasure"') for step in ERRANDS)
        async with serving(region.house, weaken=first) as control:
            begun = await OperatorClient(region.house.root / "run/control/control.sock").erase(region.account)
            assert begun is not None
            assert await killed(control.process)
        for weaken in rest:
            assert await killed(await launch(region.house, weaken=weaken)), weaken
            assert not (await deletion(region)).receipt
        async with serving(region.house, weaken=QUICK), asyncio.timeout(60):
            while not (await deletion(region)).receipt:  # noqa: ASYNC110 - another process changes
                await asyncio.sleep(0.05)
        receipt = decode_json(ErasureReceipt, (await deletion(region)).receipt.encode(), MAX_RECEIPT)
        said = check(receipt)
        assert (said.id, said.account, said.log) == (begun.receipt, region.account, Log.EMPTIED)
        assert [(one.bot, one.by) for one in said.bots] == [("b-gone", Ended.NOWHERE)]
        assert {one.bot for one in receipt.vault.receipt.items} == {"b-gone"}
        control_files = region.house.state.control
        kept = b"".join(path.read_bytes() for path in control_files.glob("control.db*"))
        assert b"ada@example.org" not in kept
        assert len((control_files / "erased").read_bytes().split()) == 1
        async with region.database.reading() as session:
            tags = [tag async for tag in await session.stream_scalars(select(AuditEntry.tag))]
        assert (tags.count("control.account.left"), tags.count("control.account.erased")) == (1, 1)


async def killed(process: Process) -> bool:
    async with asyncio.timeout(60):
        return await process.wait() == -9


async def deletion(region: Housed) -> Erasure:
    """The only one there is."""
    async with region.database.reading() as session:
        return (await session.scalars(select(Erasure))).one()


async def test_a_build_that_commits_too_early_is_found_out() -> None:
    """The weakened build: it dies at the same place, and something of the launch is there."""
    hasty = """
import clawmates.control.bots.queries as q
saved = q.save
async def save(session, *rest):
    await saved(session, *rest)
    await session.commit()
q.save = save
"""
    async with a_region(None) as region:
        bot = await region.draft()
        async with serving(region.house, weaken=f"exec({hasty!r}); {dies(UNDONE, bot)}") as control:
            assert (await region.launch(control, bot))[0] == 0
            await control.process.wait()
        assert not await region.untouched(bot)


class Events:
    """The bot's page, as its script hears it."""

    def __init__(self, region: Region, control: Control, bot: str) -> None:
        self.region, self.control, self.bot = region, control, bot

    async def __aenter__(self) -> Self:
        self.connection = await self.control.browser()
        answer = await self.connection.request("GET", f"/bots/{self.bot}/live", headers=self.region.headers)
        assert answer.status == 200
        self.chunks = answer.chunks()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def until(self, word: str) -> None:
        async with asyncio.timeout(30):
            async for chunk in self.chunks:
                if chunk.startswith(b"data: ") and json.loads(chunk[6:])["word"] == word:
                    return
        raise AssertionError(word)


async def test_two_replicas_are_one_control(place: Server | None) -> None:
    async with (
        a_region(place) as region,
        serving(region.house, name="notify-a") as one,
        serving(region.house, name="notify-b") as other,
    ):
        bot = await region.draft()
        async with Events(region, one, bot) as page:
            await page.until("Not launched yet")
            assert (await region.launch(other, bot))[0] == 200
            await page.until("Starting")
        await opens(region, bot)

        node = await one.as_node()
        assert await one.say(node, Report(run=RUN, number=1, revision=0, capacity=5)) == 204
        seen = [0]

        async def follow(until: int) -> None:
            """Long polls at one replica what is changed at the other."""
            while len(seen) <= until:
                response = await node.request("GET", f"/v1/desired?after={seen[-1]}")
                if response.status == 200:
                    seen.append(decode_json(DesiredState, await response.read(1 << 20)).revision)

        await follow(1)
        for pressed in ("pause", "resume", "pause"):
            following = asyncio.create_task(follow(len(seen)))
            version = (await region.row(bot)).version
            target = f"/bots/{bot}/{pressed}"
            answers = await asyncio.gather(
                *(region.post(control, target, version=version) for control in (one, other) * 4)
            )
            assert sorted(answers) == [303, *[409] * 7], "the others were told, and changed nothing"
            assert (await region.row(bot)).version > version
            async with asyncio.timeout(30):
                await following
        assert seen == sorted(set(seen))
        await node.close()
