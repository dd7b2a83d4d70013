"""The platform itself under Podman, by ``deploy/podman/platform``: started, killed, stopped, started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.home import MODEL, Home, a_home, children, processes_of, until_gone, with_stand_ins
from tests.support.init_system import CHECKOUT
from tests.support.standins import KEY, stand_ins

from clawmates.base.paths import Run, State
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.engines.runtime import choose_runtime, here_unified
from clawmates.selfhost.layout import remove_state, unmount_below
from clawmates.selfhost.processes import running
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(300)

SERVICES = ("vault", "gateway", "node")


@dataclass(frozen=True)
class Deployed:
    """The script, with a Podman, a state folder and container names of the test's own."""

    home: Home
    files: PodmanFiles

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = self.files.environment | {"STATE": str(self.home.state), "NAME": self.home.run.name}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    async def platform(self, verb: str) -> str:
        """What the script says."""
        done = await asyncio.to_thread(self.run, str(CHECKOUT / "deploy" / "podman" / "platform"), verb)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def processes(self) -> dict[str, int]:
        return running(State(self.home.state))

    @property
    def mounts(self) -> list[str]:
        points = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return [str(point) for point in points if {self.home.state, self.home.run} & {point, *point.parents}]

    async def until_live(self, *dead: int) -> int:
        """The bot's process, once it answers and every service is another process than those; nobody helps."""
        async with asyncio.timeout(100):
            while True:
                with suppress(NodeUnreachableError):
                    now, processes = await NodeClient(Run(self.home.run).node).status(brief=True), self.processes
                    there = processes.keys() == set(SERVICES) and now.gateway
                    if (
                        there
                        and not {*dead} & {*processes.values()}
                        and [bot.state for bot in now.bots] == [BotState.LIVE]
                    ):
                        return now.bots[0].pid
                await asyncio.sleep(0.1)

    async def until_ended(self) -> None:
        """Nothing of it is left; what the kernel or an engine still takes away may take a moment."""
        async with asyncio.timeout(60):
            while self.processes:  # noqa: ASYNC110 - other processes end
                await asyncio.sleep(0.05)
        await until_gone(self.home)

    def cut_the_power(self) -> None:
        """Everything in RAM is gone, monitors before what they would bring back; the disks keep what they have."""
        monitors = [int(name) for name in processes_of(self.home)]
        doomed = [*monitors, *(child for monitor in monitors for child in children(monitor))]
        for process in doomed:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        unmount_below(self.home.state.parent)
        unmount_below(self.files.run)
        subprocess.run(["umount", "--lazy", str(self.home.run)], check=True)
        shutil.rmtree(self.files.run)
        self.files.run.mkdir()

    async def answers(self, text: str) -> None:
        done = await asyncio.to_thread(self.home.run_command, "chat", given=f"{text}\n")
        assert text in done.stdout, done.stderr


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    with a_home() as home, podman_of(home) as files:
        yield Deployed(home, files)


@contextmanager
def podman_of(home: Home) -> Iterator[PodmanFiles]:
    """A Podman that knows nothing of the machine's, with a runtime that works here."""
    files = PodmanFiles(home.state.parent / "podman", home.run.with_name(f"{home.run.name}-podman"))
    files.write(choose_runtime("", unified=here_unified()))
    try:
        yield files
    finally:
        remove_state(files.storage)
        remove_state(files.run)


def facts(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


async def test_podman_runs_the_platform_brings_it_back_and_leaves_nothing_when_it_is_stopped(
    deployed: Deployed,
) -> None:
    home = deployed.home
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        config = home.state / "clawmates.toml"
        config.write_text(config.read_text().replace("127.0.0.1:0", address))
        try:
            await deployed.platform("start")
            bot = await deployed.until_live()
            await deployed.answers("inside Podman")
            for name, process in deployed.processes.items():
                seen, confined = facts(process), name != "node"
                assert (int(seen["CapBnd"], 16) == 0) is confined
                assert (seen["Uid"].split()[0] != "0") is confined
                assert seen["NoNewPrivs"] == "1"

            for name in SERVICES:
                process = deployed.processes[name]
                os.kill(process, signal.SIGKILL)
                assert await deployed.until_live(process) == bot, "no bot is restarted by it"
            await deployed.answers("after three deaths")
            said = await deployed.platform("status")
            assert all(f"{home.run.name}-{name}" in said for name in SERVICES)
            assert "home       live" in said

            await deployed.platform("stop")
            assert deployed.run("podman", "ps", "--all", "--quiet").stdout == ""
            await deployed.until_ended()
            assert deployed.mounts == []

            await deployed.platform("start")
            await deployed.until_live(bot)
            await deployed.answers("once more")

            deployed.cut_the_power()
            await deployed.until_ended()
            assert deployed.mounts == []
            await deployed.platform("start")
            await deployed.until_live()
            await deployed.answers("after the night")
        finally:
            await deployed.platform("stop")
            await until_gone(home)
