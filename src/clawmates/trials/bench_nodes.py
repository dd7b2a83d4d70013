"""How soon a node hears of a change, and what a round costs it when nothing happens, with ten thousand bots in control.

Control is a process of its own with SQLite. The node's keeper, follower and reporter are the real ones, over mutual TLS
1.3; engine, gateway and vault are the fakes beside their seams. The floor is a report of a node that has no bots. The
change is written past control's process, as another replica would: so it is found by looking.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from sqlalchemy import insert, update

from clawmates.base.clock import SystemClock
from clawmates.base.eventlog import EventLog
from clawmates.base.identity import ClientIdentity
from clawmates.base.paths import Run, State
from clawmates.base.settings import Control, Settings, load
from clawmates.base.tls import client_context
from clawmates.base.x509 import Authority, Names
from clawmates.control.accounts import people
from clawmates.control.bots.tables import Bot
from clawmates.control.nodes.placing import Stage
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import Node
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate
from clawmates.node.boot import BootFolders
from clawmates.node.engines.fake import FakeEngine, Machine, facts_as_asked
from clawmates.node.following import ControlLine, Follower, Pauses
from clawmates.node.gateway import FakeGateway
from clawmates.node.keeper import Keeper
from clawmates.node.reporting import Reporter
from clawmates.node.steps import Steps
from clawmates.node.telling import Teller
from clawmates.node.tickets import FakeVault
from clawmates.node.turns import Turns
from clawmates.trials import bench_control
from clawmates.trials.bench_control import MODEL, RELEASE
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from clawmates.control.store.database import Database
    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.node.facts import Facts

MANY, FEW = 10_000, 100
BIG, SMALL, EMPTY = "node-big", "node-small", "node-empty"
ROUNDS = 40
CHANGES, BIG_CHANGES = 40, 6
IN_MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
START_SECONDS = 600.0
CHANGE_SECONDS = 60.0


@dataclass(slots=True)
class Side:
    """One node: what it holds, and what it says to control."""

    keeper: Keeper
    follower: Follower
    reporter: Reporter
    heard: asyncio.Event

    async def idle(self) -> None:
        """What a node does every few seconds while nothing happens: all its bots are compared with what was told."""
        await self.reporter.once()

    async def round(self) -> None:
        """The same after a look at every bot, as after a change or a renewal of leases."""
        self.keeper.changed.set()
        self.keeper.looked.clear()
        await self.keeper.looked.wait()
        await self.reporter.once()


async def figures() -> dict[str, float]:
    """The four figures, and the floor in ms and in s."""
    with tempfile.TemporaryDirectory(prefix="cm-bench-nodes-", dir=IN_MEMORY) as name:
        state = State(Path(name))
        web, nodes, _ = bench_control.free_ports()
        _prepare(state, (web, nodes))
        database = open_database(Control(), state)
        try:
            await _inhabit(database)
            settings = load(state.config)
            door = bench_control.Door(web, client_context(authority=state.authority))
            async with bench_control.running(door, ("-m", "clawmates.control", "--config", str(state.config))):
                async with _side(settings, state, EMPTY, 0) as empty:
                    floor = await _rounds(empty.idle)
                async with _side(settings, state, SMALL, FEW) as small:
                    soon = await _changes(database, small, SMALL, CHANGES)
                async with _side(settings, state, BIG, MANY) as big:
                    idle, whole = await _rounds(big.idle), await _rounds(big.round)
                    late = await _changes(database, big, BIG, BIG_CHANGES)
        finally:
            await database.close()
    return {
        "idle_10k_ms": median(idle) * 1000,
        "reconcile_10k_ms": median(whole) * 1000,
        "floor_report_ms": median(floor) * 1000,
        "floor_report_s": median(floor),
        "change_to_node_s_p95": quantiles(soon, n=20)[-1],
        "change_to_node_10k_s_p95": quantiles(late, n=20)[-1],
    }


async def _rounds(what: Callable[[], Awaitable[None]]) -> list[float]:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await what()
        taken.append(time.perf_counter() - began)
    return taken


async def _changes(database: Database, side: Side, node: str, count: int) -> list[float]:
    """Seconds from the commit until the keeper has it; changes come at odd moments of control's looking."""
    taken = []
    for number in range(count):
        await asyncio.sleep(0.3 + random.random())  # noqa: S311 - spreads measurements, guards nothing
        side.heard.clear()
        async with database.writing() as session:
            await session.execute(update(Bot).where(Bot.id == f"{node}-0").values(restarts=number))
            await touch(session, node)
        began = time.perf_counter()
        async with asyncio.timeout(CHANGE_SECONDS):
            await side.heard.wait()
        taken.append(time.perf_counter() - began)
    return taken


@asynccontextmanager
async def _side(settings: Settings, state: State, name: str, bots: int) -> AsyncIterator[Side]:
    """A node with all its bots up, until the end of the block."""
    run, clock = Run(state.root / "run" / name), SystemClock()
    keeper = _keeper(run, state, clock)
    identity = ClientIdentity(state, name)
    heard = asyncio.Event()
    follower = Follower(
        ControlLine(settings, identity), keeper, run.node.parent / "desired.json", Pauses(random.random)
    )
    reporter = Reporter(
        line=ControlLine(settings, identity),
        keeper=keeper,
        follower=follower,
        teller=Teller.open(run.node.parent / "told.json", os.urandom),
        pauses=Pauses(random.random),
        capacity=MANY,
        release=lambda: RELEASE.image.digest,
    )
    stop, side = asyncio.Event(), Side(keeper, follower, reporter, heard)
    keeper.may_run(RELEASE, RELEASE.image.config)
    await reporter.once()
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(keeper.keep(stop))
        following = group.create_task(follower.follow())
        watching = group.create_task(_watch(keeper, heard))
        async with asyncio.timeout(START_SECONDS):
            while _up(keeper) < bots:  # noqa: ASYNC110 - the keeper says nothing of what is up
                await asyncio.sleep(0.1)
        while reporter.look():
            await reporter.once()
        yield side
        following.cancel()
        watching.cancel()
        stop.set()
        await keeping


def _up(keeper: Keeper) -> int:
    """How many containers run of those that should; before anything is known of that, fewer than none."""
    return -1 if keeper.desired is None else sum(hold.running is not None for hold in keeper.holds.values())


async def _watch(keeper: Keeper, heard: asyncio.Event) -> None:
    """Sets ``heard`` once the keeper has looked at another desired state."""
    known = keeper.desired
    while True:
        await keeper.changed.wait()
        if keeper.desired is not known:
            known = keeper.desired
            heard.set()
        await asyncio.sleep(0)


def _keeper(run: Run, state: State, clock: SystemClock) -> Keeper:
    run.node.parent.mkdir(parents=True)
    state.log.mkdir(exist_ok=True)

    def look(spec: ContainerSpec, _running: Running) -> Facts:
        return replace(facts_as_asked(spec), written=0)

    return Keeper(
        steps=Steps(
            engine=FakeEngine(Machine(images={RELEASE.image.config})),
            gateway=FakeGateway(clock.now()),
            vault=FakeVault(),
            boot=BootFolders(run.boot, run.node.parent / "bots", b"authority", None),
            look=look,
            clock=clock,
            region="bench",
            vault_name="clawmates://bench/vault/vault-1",
            # All at once: what is measured comes afterwards, and a look after every few starts would take minutes.
            _starts=Turns(MANY),
        ),
        folders=run,
        memory_mib=128,
        clock=clock,
        jitter=random.random,
        log=EventLog(state.log, "node", clock),
    )


def _prepare(state: State, ports: tuple[int, int]) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("bench", now)
    state.pki.mkdir()
    state.authority.write_bytes(authority.pair.certificate)
    services = {"control": "control/control-1", **{name: f"node/{name}" for name in (BIG, SMALL, EMPTY)}}
    for folder, name in services.items():
        pair = authority.issue(Names(dns=("control", "localhost"), uri=(f"clawmates://bench/{name}",)), now)
        certificate, key = state.identity(folder)
        certificate.parent.mkdir()
        certificate.write_bytes(pair.certificate)
        key.touch(0o600)
        key.write_bytes(pair.key)
    state.config.write_text(
        f'[platform]\nmode = "hosted"\nregion = "bench"\n'
        f'[control]\nlisten = "127.0.0.1:{ports[0]}"\nnodes = "127.0.0.1:{ports[1]}"\n'
    )


async def _inhabit(database: Database) -> None:
    now = datetime.now(UTC)
    await migrate(database)
    async with database.writing() as session:
        account = await people.open_account(session, os.urandom, "person@example.org", "en", now)
        session.add_all(_node(name, now) for name in (BIG, SMALL, EMPTY))
        await session.flush()
        rows = [_bot(f"{node}-{one}", account.id, node, now) for node, most in _shares() for one in range(most)]
        await session.execute(insert(Bot), rows)


def _shares() -> tuple[tuple[str, int], ...]:
    return (BIG, MANY), (SMALL, FEW)


def _node(name: str, now: datetime) -> Node:
    return Node(
        name=name,
        region="bench",
        stage=Stage.SERVING.value,
        drains=False,
        capacity=MANY,
        revision=1,
        seen_revision=0,
        release="",
        report_run="",
        report_number=0,
        joined_at=now,
        seen_at=now,
    )


def _bot(name: str, account: str, node: str, now: datetime) -> dict[str, object]:
    return {
        "id": name,
        "account_id": account,
        "name": "Bot",
        "stage": "active",
        "channel": ChannelKind.TELEGRAM.value,
        "provider": "openai",
        "model": MODEL,
        "limits": "{}",
        "access": Access.PAIRED.value,
        "paused": False,
        "restarts": 0,
        # Of a region where no other node is awake: a node whose turn is over is silent, and its bots must not be moved.
        "region": node,
        "node": node,
        "version": 1,
        "created_at": now,
        "changed_at": now,
    }
