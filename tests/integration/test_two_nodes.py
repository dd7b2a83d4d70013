"""Two nodes of one platform on this machine: one is killed for good, and its bot lives at the other, never at both."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.launching import KEY, TOKEN
from tests.support.replicas import Region, signed_in

from clawmates.base.http.client import Connection
from clawmates.base.paths import Run, State
from clawmates.base.tls import client_context
from clawmates.control.store.database import open_database
from clawmates.selfhost import layout, services
from clawmates.selfhost.containers import stop_all
from clawmates.selfhost.install import Plan, install
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.trials.hosted import free_port, hosted
from clawmates.trials.throwaway import RELEASE, Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(400)
LEASE = 10
HASTE = """
import datetime, sys, clawmates.control.nodes.moving as m
m.LOST_AFTER = datetime.timedelta(seconds=6)
m.free_from.__defaults__ = (datetime.timedelta(seconds=18),)
from clawmates.control.__main__ import main
sys.exit(main())
"""
"""A control that calls a node lost sooner; the lease, and the gateway's part of the margin, are real."""
FORGETFUL = """
import sys, clawmates.gateway.lease as l
l.Lease.runs = lambda self: True
from clawmates.gateway.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A gateway that knows no lease: the weakened build."""


@dataclass
class Web:
    trial: Throwaway
    port: int

    async def browser(self) -> Connection:
        tls = client_context(authority=self.trial.state.authority)
        return await Connection.tcp("127.0.0.1", self.port, tls=tls, server_name="localhost")


@asynccontextmanager
async def second_node(trial: Throwaway) -> AsyncIterator[NodeClient]:
    """Another host of the same platform: a state folder, an engine, a gateway and a node of its own."""
    first = trial.platform.settings
    state, run = State(trial.root / "second"), Run(Path(f"{first.run.root}-2"))
    ports = json.loads(first.run.ports.read_bytes())
    plan = Plan(
        state=state,
        release=RELEASE,
        settings={
            "platform": {"run": str(run.root), "mode": "hosted", "region": first.platform.region},
            "vault": {"listen": f"127.0.0.1:{ports['vault']}"},
            "control": {"nodes": f"127.0.0.1:{ports['nodes']}", "origin": first.control.origin},
            "gateway": {"unsafe_resolve": dict(first.gateway.unsafe_resolve)},
            "node": {"name": "node-2", "unsafe_extra_ca": first.node.unsafe_extra_ca},
        },
    )
    state.pki.mkdir(parents=True)
    for path in trial.state.pki.glob("authority.*"):
        shutil.copy2(path, state.pki)
    async with AsyncExitStack() as stack:
        settings, _ = install(plan, datetime.now(UTC))
        stack.callback(layout.remove_run, settings.run)
        stack.callback(layout.unmount_below, state.root)
        supervisor = Supervisor(settings.run.supervisor)
        stack.push_async_callback(stop_all, state, settings)
        stack.push_async_callback(supervisor.close)
        await supervisor.start([services.gateway(state, settings)])
        await supervisor.start([services.node(state)])
        assert all(one.phase is Phase.READY for one in supervisor.running.values())
        yield NodeClient(settings.run.node)


def alive(pid: int) -> bool:
    """Whether a container's first process is there, and no corpse (proc_pid_stat(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_live(node: NodeClient, bot: str) -> int:
    """The pid of its container."""
    async with asyncio.timeout(180):
        while True:
            try:
                for one in (await node.status()).bots:
                    if one.bot == bot and one.state is BotState.LIVE:
                        return one.pid
            except NodeUnreachableError:
                pass
            await asyncio.sleep(0.1)


async def drained(trial: Throwaway, bot: str, old: int, second: NodeClient) -> int:
    """The operator empties one node and then the other: each time the old container is gone first. The newest pid."""
    run = trial.platform.settings.run
    operator, nodes = OperatorClient(run.control), {"node-2": second, "node-1": NodeClient(run.node)}
    async with asyncio.timeout(60):
        while await operator.drain("node-2", wanted=False) is None:  # noqa: ASYNC110 - control has not heard of it
            await asyncio.sleep(0.1)
    for there, node in nodes.items():
        (here,) = nodes.keys() - {there}
        await operator.drain(there, wanted=False)
        await operator.drain(here, wanted=True)
        fresh = await until_live(node, bot)
        assert not alive(old)
        old = fresh
    await operator.drain("node-2", wanted=False)
    return old


@pytest.mark.parametrize("weakened", [False, True])
async def test_a_killed_nodes_bot_lives_on_elsewhere_and_never_twice(
    monkeypatch: pytest.MonkeyPatch, *, weakened: bool
) -> None:
    builds = {"control": HASTE} | ({"gateway": FORGETFUL} if weakened else {})
    command = services.Service.command

    def other_builds(self: services.Service) -> list[str]:
        line = command(self)
        if self.name in builds:
            place = line.index("-m", line.index("--"))
            line[place : place + 2] = ["-c", builds[self.name]]
        return line

    monkeypatch.setattr(services.Service, "command", other_builds)
    port = free_port()
    wanted = hosted(port)
    wanted["control"]["lease_seconds"] = LEASE
    async with throwaway(settings=wanted) as trial:
        known = Bot(name="pirate", channel=ChannelKind.TELEGRAM, token=TOKEN, key=KEY, username="pirate_bot")
        await trial.introduce(known, trial.model)
        settings = trial.platform.settings
        database = open_database(settings.control, trial.state)
        web = Web(trial, port)
        try:
            account, token = await signed_in(database)
            region = Region(database, account, token, origin=settings.control.origin)
            bot = await region.draft(region=settings.platform.region, model=trial.model, access="open")
            assert (await region.launch(web, bot))[0] == 200
            old = await until_live(NodeClient(settings.run.node), bot)
            async with second_node(trial) as second:
                if not weakened:
                    old = await drained(trial, bot, old, second)
                os.kill(trial.platform.supervisor.pid("node"), signal.SIGKILL)
                await trial.platform.supervisor.stop("node")  # and nobody starts it again
                assert alive(old), "its container does not end with it"
                await until_live(second, bot)
                assert alive(old) is weakened, "it ended by itself, before the other one lived"
                assert (await region.row(bot)).node == "node-2"
        finally:
            await database.close()
