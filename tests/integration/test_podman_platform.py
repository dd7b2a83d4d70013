"""The platform itself under Podman, started by the script that people are given."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.home import MODEL, Home, a_home, with_stand_ins
from tests.support.standins import KEY, stand_ins

from clawmates.base.paths import State
from clawmates.node.engines.runtime import choose_runtime, here_unified
from clawmates.selfhost.layout import unmount_below
from clawmates.selfhost.processes import running

pytestmark = pytest.mark.timeout(300)

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "podman" / "platform"


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made
        unmount_below(made.state.parent)


@contextmanager
def started(home: Home) -> Iterator[dict[str, str]]:
    """By the script, in a Podman storage of the test's own; everything is stopped by the script again."""
    podman = home.state.parent / "podman"
    runtime = choose_runtime("", unified=here_unified())
    options = f"--root {podman} --runroot {home.run}-podman --cgroup-manager cgroupfs --runtime {runtime}"
    environment = os.environ | {
        "STATE": str(home.state),
        "NAME": home.run.name,
        "PODMAN": f"podman {options}",
        "LIMITS": "--ulimit=core=0 --ulimit=nofile=1024:1024 --ulimit=nproc=4096:4096",
    }
    try:
        done = subprocess.run([SCRIPT, "start"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield environment
    finally:
        subprocess.run([SCRIPT, "stop"], env=environment, capture_output=True, check=False)
        unmount_below(home.state.parent)


async def until_live(home: Home) -> int:
    async with asyncio.timeout(60):
        while True:
            done = await asyncio.to_thread(home.run_command, "status", "--json")
            bots = json.loads(done.stdout)["data"]["bots"] if done.returncode == 0 else []
            if bots and bots[0]["state"] == "live":
                return int(bots[0]["pid"])
            await asyncio.sleep(0.1)


async def until_another(home: Home, service: str, pid: int) -> int:
    async with asyncio.timeout(10):
        while (now := running(State(home.state)).get(service, pid)) == pid:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return now


async def test_the_platform_runs_under_podman_and_podman_brings_it_back(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        config = home.state / "clawmates.toml"
        config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
        with started(home):
            bot = await until_live(home)
            chat = await asyncio.to_thread(home.run_command, "chat", given="inside of Podman\n")
            assert "inside of Podman" in chat.stdout, chat.stderr
            for service in ("vault", "gateway"):
                status = status_of(running(State(home.state))[service])
                assert int(status["CapEff"], 16) == 0
                assert status["NoNewPrivs"] == "1"
                assert status["Uid"].split()[0] != "0"
            for service, pid in running(State(home.state)).items():
                os.kill(pid, signal.SIGKILL)
                await until_another(home, service, pid)
            assert await until_live(home) == bot, "no bot is restarted by it"
            chat = await asyncio.to_thread(home.run_command, "chat", given="and again\n")
            assert "and again" in chat.stdout, chat.stderr
        assert running(State(home.state)) == {}
        with pytest.raises(ProcessLookupError):
            os.kill(bot, 0)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
