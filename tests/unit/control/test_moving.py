"""Bots of a lost node: two real keepers among fake engines, the real vault, control's rows, one clock for all."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.control import NOON, Place, a_bot, a_node, a_place, deeds
from tests.support.keeper import World
from tests.support.node import IMAGE, HandClock
from tests.unit.control.test_store import account
from tests.unit.vault.conftest import Events, masters_in

from clawmates.control.bots.tables import Bot
from clawmates.control.nodes import draining, moving
from clawmates.control.nodes.desired import desired_of
from clawmates.control.nodes.errands import handlers
from clawmates.control.nodes.hearing import hear, meet
from clawmates.control.nodes.keeping import NodeKeeper
from clawmates.control.nodes.tables import BotMove, Node
from clawmates.control.outbox.worker import Worker
from clawmates.node.leases import UNTOLD_SECONDS, Leases, Renewal
from clawmates.node.tickets import LeaseEndedError, TicketDeniedError
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError, open_store
from clawmates.wire.control import Report
from clawmates.wire.desired import DesiredState
from clawmates.wire.leases import LeaseRenewal
from clawmates.wire.names import NOBODY
from clawmates.wire.vault import Assignment, Ticket, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError

LEASE = timedelta(seconds=100)
"""A third of the real one, so that it ends after a third of the ticks; still several looks and renewals long."""
TICK = 10.0
PATIENCE = int((moving.LOST_AFTER + LEASE + moving.MARGIN).total_seconds() / TICK) + 5
A, B = "node-1", "node-2"


class SharedClock(HandClock):
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000)


@dataclass
class Desk:
    """The real vault, as one node reaches it."""

    vault: Vault
    node: str
    away: bool = False

    async def ticket(self, request: TicketRequest) -> Ticket:
        try:
            return await self.vault.ticket(self.node, replace(request, items={}))
        except RefusedError as error:
            ended = error.refusal is VaultRefusal.LEASE_ENDED
            raise (LeaseEndedError if ended else TicketDeniedError) from None


@dataclass
class Region:
    """Two nodes, one vault, one control."""

    place: Place
    clock: SharedClock
    vault: Vault
    nodes: dict[str, World]
    worker: Worker
    keeping: NodeKeeper
    deaf: set[str] = field(default_factory=set)
    """Nodes that do not reach control."""
    mute: set[str] = field(default_factory=set)
    """Nodes that do not reach the vault."""
    kept: dict[str, AsyncExitStack] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    """Nodes whose process is gone for good, while the host is there, its gateway, and its containers."""
    says_who_leaves: bool = True
    tells: Any = desired_of
    vault_away: bool = False
    numbers: int = 0
    most: int = 0
    """Of containers of the bot that lived at one moment."""

    def alive(self) -> list[str]:
        """Nodes on which a container of the bot can do anything."""
        return [name for name, world in self.nodes.items() if world.machine.containers and world.open_door()]

    async def tick(self, seconds: float = TICK) -> None:
        """A little time passes, and everybody does what is due."""
        self.clock.seconds += seconds
        now = self.clock.now()
        for name, world in self.nodes.items():
            if name in self.killed:
                continue
            if name not in self.deaf:
                await self._meets_control(name, world, now)
            if name not in self.mute:
                bots = tuple(world.keeper.specs())
                asked = self.clock.seconds
                leases = await self.vault.renew(name, LeaseRenewal(bots=bots))
                world.keeper.leased(Renewal(bots=bots, leases=leases.leases, asked_at=asked))
        await self.keeping.look()
        while await self.worker.round():
            pass
        for world in self.nodes.values():
            world.keeper.changed.set()
            await world.rest()
            self.most = max(self.most, len(self.alive()))

    async def kill(self, name: str) -> None:
        self.killed.add(name)
        await self.kept[name].aclose()

    async def ticks(self, count: int) -> None:
        for _ in range(count):
            await self.tick()

    async def _meets_control(self, name: str, world: World, now: datetime) -> None:
        self.numbers += 1
        specs = world.keeper.specs()
        report = Report(
            run="0" * 32,
            number=self.numbers,
            revision=world.keeper.desired.revision if world.keeper.desired else 0,
            capacity=10,
            leaving=tuple(bot for bot in world.keeper.holds if bot not in specs) if self.says_who_leaves else None,
        )
        async with self.place.database.writing() as session:
            row = await meet(session, name, "eu-test", now)
            await moving.welcome_back(session, row, now)
            await hear(session, row, report, now)
            await draining.gone(session, row, report, now)
        async with self.place.database.reading() as session:
            desired = await self.tells(session, name, now)
        if world.keeper.desired is None or desired.revision > world.keeper.desired.revision:
            world.keeper.wants(desired)

    async def assign(self, bot: str, assignment: Assignment) -> None:
        if self.vault_away:
            raise VaultUnreachableError
        try:
            await self.vault.assign(bot, assignment)
        except RefusedError as error:
            raise VaultError(error.refusal) from None

    async def node_of(self, bot: str = "anna") -> str | None:
        async with self.place.database.reading() as session:
            return await session.scalar(select(Bot.node).where(Bot.id == bot))

    async def drain(self, name: str, *, wanted: bool = True) -> bool:
        async with self.place.database.writing() as session:
            return await draining.drain(session, name, self.clock.now(), wanted=wanted)

    async def stage(self, name: str) -> str:
        async with self.place.database.reading() as session:
            return (await session.get_one(Node, name)).stage

    async def moves(self) -> list[BotMove]:
        async with self.place.database.reading() as session:
            return list(await session.scalars(select(BotMove)))


@asynccontextmanager
async def a_region(folder: Path) -> AsyncIterator[Region]:
    clock = SharedClock()
    (folder / "vault").mkdir(mode=0o700)
    store = open_store(masters_in(folder / "vault"), region="local", catalogue=Catalogue(folder, ""), now=clock.now())
    vault = Vault(store, region="local", clock=clock, random=os.urandom, events=Events())
    nodes = {}
    for name in (A, B):
        (folder / name).mkdir()
        nodes[name] = World(folder / name, clock=clock, vault=Desk(vault, name), hosted=True)  # type: ignore[arg-type]
    async with a_place(folder) as place:
        region: Region
        line: Any = SimpleNamespace(client=lambda: SimpleNamespace(assign=region.assign))
        worker = Worker(database=place.database, clock=clock, random=os.urandom, handlers=handlers(line, clock, LEASE))
        region = Region(place, clock, vault, nodes, worker, NodeKeeper(place.database, clock))
        async with place.database.writing() as session:
            session.add_all((account(), a_node(A), a_node(B)))
            await session.flush()
            session.add(a_bot("anna", node=A, model="gpt-5.4-nano"))
        await region.assign("anna", Assignment(tenant="a-1", node=A, lease_seconds=int(LEASE.total_seconds())))
        async with AsyncExitStack() as stack:
            for name, world in nodes.items():
                region.kept[name] = await stack.enter_async_context(AsyncExitStack())
                await region.kept[name].enter_async_context(world.kept())
            for world in nodes.values():
                world.may_run(IMAGE)
            await region.ticks(8)  # long enough for control to call a silent node lost
            assert region.alive() == [A]
            try:
                yield region
            finally:
                vault.close()


NOTHING, ALL = frozenset[str](), frozenset({A})


@pytest.mark.parametrize("mute", [NOTHING, ALL], ids=["reaches the vault", "reaches nobody"])
async def test_the_bot_of_a_lost_node_moves_and_never_runs_twice(tmp_path: Path, mute: frozenset[str]) -> None:
    async with a_region(tmp_path) as region:
        region.deaf, region.mute = {A}, set(mute)
        await region.ticks(PATIENCE)
        assert region.alive() == [B]
        assert await region.node_of() == B
        assert await region.moves() == []
        region.deaf, region.mute = set(), set()
        await region.ticks(3)
        assert region.alive() == [B], "who comes back does not take it back"
        assert region.most == 1
        told = [one for one in await deeds(region.place) if one != "account.opened"]
        assert told == ["node.lost", "bot.moved", "node.returned"]


@pytest.mark.any_database
async def test_a_node_that_is_killed_for_good_leaves_a_container_that_can_do_nothing(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        await region.kill(A)
        await region.ticks(PATIENCE)
        assert region.nodes[A].machine.containers, "nobody was left to end it, and this machine's fakes have no mate"
        assert (region.alive(), await region.node_of(), region.most) == ([B], B, 1)


@pytest.mark.any_database
@pytest.mark.parametrize("defect", ["node says nothing", "a door is open until somebody closes it"])
async def test_without_the_doors_lease_a_killed_nodes_bot_runs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    """The weakened builds."""
    if defect == "node says nothing":
        monkeypatch.setattr(Leases, "door", lambda _self, _bot, _now: None)
        monkeypatch.setattr(Leases, "doors", lambda _self: {})
    else:
        monkeypatch.setattr(World, "open_door", lambda _self: True)
    async with a_region(tmp_path) as region:
        await region.kill(A)
        await region.ticks(PATIENCE)
        assert region.most == 2


@pytest.mark.any_database
async def test_a_node_that_dies_before_the_vault_has_spoken_leaves_no_door_open(tmp_path: Path) -> None:
    """Nothing is known of the lease yet, or what was known is lost: the door does not stay open for it."""
    async with a_region(tmp_path) as region:
        world, region.mute = region.nodes[A], {A}
        for finite, until in ((True, region.clock.seconds + UNTOLD_SECONDS), (False, None)):  # the latter is weakened
            world.keeper.leases.forget("anna")
            world.keeper.leases.finite = finite
            world.gateway.restart(str(finite))
            await region.tick(0)
            assert world.gateway.until["anna"] == until


@pytest.mark.any_database
async def test_a_move_before_the_leases_end_runs_it_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakened build."""
    monkeypatch.setattr(moving, "free_from", lambda fenced_at, _lease: fenced_at)
    async with a_region(tmp_path) as region:
        region.deaf, region.mute = {A}, {A}
        await region.ticks(15)
        assert region.most == 2


@pytest.mark.any_database
async def test_without_the_fence_at_the_vault_the_lease_would_never_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other weakened build: a node that still reaches the vault renews and renews, until the bot is elsewhere."""

    async def unfenced(self: Region, bot: str, assignment: Assignment) -> None:
        if assignment.node != NOBODY:
            await self.vault.assign(bot, assignment)

    monkeypatch.setattr(Region, "assign", unfenced)
    async with a_region(tmp_path) as region:
        region.deaf = {A}
        await region.ticks(int((moving.LOST_AFTER + LEASE + moving.MARGIN).total_seconds() / TICK))
        assert region.alive() == [A], "it should have stopped a lease ago"


async def test_a_node_that_is_back_in_time_keeps_its_bots(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        region.deaf, region.mute = {A}, {A}
        await region.ticks(12)
        (move,) = await region.moves()
        assert (move.origin, move.target) == (A, None)
        assert move.free_at is not None
        region.deaf, region.mute = set(), set()
        await region.ticks(PATIENCE)
        assert (region.alive(), await region.node_of(), await region.moves(), region.most) == ([A], A, [], 1)


async def test_nothing_moves_while_the_vault_cannot_say_so(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        region.deaf, region.mute, region.vault_away = {A}, {A}, True
        await region.ticks(PATIENCE)
        (move,) = await region.moves()
        assert (move.free_at, move.target, await region.node_of()) == (None, None, A)
        assert region.alive() == [], "its own clock has stopped it"


@pytest.mark.any_database
async def test_where_nobody_else_is_awake_a_bot_is_left_alone(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        region.deaf = {A, B}
        await region.ticks(PATIENCE)
        assert (region.alive(), await region.moves()) == ([A], [])


async def test_a_control_that_was_away_calls_nobody_lost_at_once(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        region.clock.seconds += 3600
        await region.keeping.look()
        fresh = NodeKeeper(region.place.database, region.clock)
        await fresh.look()
        async with region.place.database.reading() as session:
            assert set(await session.scalars(select(Node.stage))) == {"serving"}
        region.deaf = {A, B}
        await region.ticks(8)
        async with region.place.database.reading() as session:
            assert set(await session.scalars(select(Node.stage))) == {"lost"}


async def test_a_drained_nodes_bots_move_one_by_one_on_its_word(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        async with region.place.database.writing() as session:
            session.add(a_bot("bert", node=A, model="gpt-5.4-nano", paused=True))
        assert not await region.drain("node-9")
        assert await region.drain(A)
        for _ in range(12):
            await region.tick(1.0)
            assert len(await region.moves()) <= 1
        assert (await region.node_of("anna"), await region.node_of("bert")) == (B, B)
        assert (region.alive(), region.most) == ([B], 1), "in seconds, and never two"
        await region.drain(B)
        await region.ticks(3)
        assert (region.alive(), await region.moves()) == ([B], []), "there is nowhere else to go"
        await region.drain(A, wanted=False)
        await region.ticks(6)
        assert (region.alive(), region.most) == ([A], 1)


async def test_a_draining_node_that_does_not_say_so_or_is_lost_is_waited_for(tmp_path: Path) -> None:
    async with a_region(tmp_path) as region:
        region.says_who_leaves = False
        await region.drain(A)
        await region.ticks(10)
        (move,) = await region.moves()
        assert (move.target, region.alive()) == (None, []), "an older node's silence is no word"
        region.deaf = {A}
        await region.ticks(8)
        assert await region.stage(A) == "lost"
        await region.ticks(PATIENCE)
        assert (region.alive(), await region.node_of(), region.most) == ([B], B, 1)
        region.deaf = set()
        await region.tick()
        assert await region.stage(A) == "draining", "the operator's word outlives its absence"


@pytest.mark.any_database
@pytest.mark.parametrize("defect", ["at once", "before it knows"])
async def test_a_move_before_the_nodes_word_runs_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    """The weakened builds: nobody waits for the word, or a word from before counts."""
    async with a_region(tmp_path) as region:
        region.mute = {A}
        if defect == "at once":
            monkeypatch.setattr(moving, "free_from", lambda fenced_at, _lease: fenced_at)
        else:
            real = moving.begin

            async def hasty(session: Any, bot: Bot, now: datetime, gone_after: int | None = None) -> None:
                await real(session, bot, now, 0 if gone_after is not None else None)

            monkeypatch.setattr(moving, "begin", hasty)

        async def unheard(session: Any, node: str, now: datetime) -> DesiredState:
            return DesiredState(revision=0) if node == A else await desired_of(session, node, now)

        region.tells = unheard  # what A should do reaches it late, while its reports arrive
        await region.drain(A)
        await region.ticks(5)
        assert region.most == 2
