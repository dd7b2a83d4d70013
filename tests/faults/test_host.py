"""What happens to a whole host: its processes die, its disk fills or fails, its clock jumps, it is switched off.

Each time everything comes back with every bot, and nobody helps it; how soon is a figure of ``make bench``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tests.faults.test_disk import fill
from tests.support.home import (
    MODEL,
    Home,
    a_home,
    children,
    processes_of,
    until_gone,
    until_printed,
    up,
    with_stand_ins,
)
from tests.support.standins import KEY, stand_ins

from clawmates.base.paths import Run, State
from clawmates.selfhost import layout
from clawmates.selfhost.layout import unmount_below
from clawmates.selfhost.processes import running
from clawmates.trials.disk import loop_disk
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(300)

SERVICES = ("vault", "gateway", "node")
SECONDS = 100.0
TWO = tuple(Bot.invent(name, ChannelKind.TERMINAL) for name in ("first", "second"))


def kill_all(trial: Throwaway) -> None:
    for name in SERVICES:
        os.kill(trial.platform.supervisor.pid(name), signal.SIGKILL)


async def until_served(trial: Throwaway, old: dict[str, int]) -> None:
    """Every process is another one, ready, and both bots answer."""
    running = trial.platform.supervisor.running
    async with asyncio.timeout(SECONDS):
        while any(one.pid in {0, old[name]} or not one.ready.is_set() for name, one in running.items()):  # noqa: ASYNC110 - other processes change
            await asyncio.sleep(0.02)
    await trial.until_live("first", "second")


def pids(trial: Throwaway) -> dict[str, int]:
    return {name: trial.platform.supervisor.pid(name) for name in SERVICES}


async def test_a_full_disk_keeps_no_process_from_coming_back() -> None:
    async with throwaway(disk=True) as trial:
        await trial.add(TWO)
        await trial.until_live("first", "second")
        hog = fill(trial.state.root)
        old = pids(trial)
        kill_all(trial)
        await until_served(trial, old)
        assert "on a full disk" in await trial.live.chat("first", "on a full disk")
        hog.unlink()
        old = pids(trial)
        kill_all(trial)
        await until_served(trial, old)


@pytest.mark.parametrize("days", [2, -2])
async def test_a_clock_that_jumps_takes_no_bot_down(days: int) -> None:
    async with throwaway() as trial:
        await trial.add(TWO)
        await trial.until_live("first", "second")
        text = trial.state.config.read_text()
        jumped = text.replace("[platform]\n", f"[platform]\nunsafe_clock_offset = {days * 86400}\n")
        trial.state.config.write_text(jumped)
        old = pids(trial)
        kill_all(trial)
        await until_served(trial, old)
        assert "two days off" in await trial.live.chat("first", "two days off")
        trial.state.config.write_text(text)
        old = pids(trial)
        kill_all(trial)
        await until_served(trial, old)


async def test_a_host_whose_disk_failed_and_that_was_switched_off_comes_back_with_every_bot() -> None:
    with a_home() as plain, loop_disk(plain.state.parent) as disk:
        home = Home(disk / "state", plain.run)
        async with stand_ins() as there:
            await there.simulator.add_key(KEY)
            await there.simulator.add_model(MODEL)
            await asyncio.to_thread(home.init)
            again = ("--bot", "second", "--channel", "terminal", "--provider", "openai", "--model", MODEL, "--stdin")
            await asyncio.to_thread(home.json, "bot", "add", *again, given=json.dumps({"provider-key": KEY}))
            with_stand_ins(home, there)
            async with up(home) as process:
                await until_printed(process, "home       live")
                await until_both_live(home)
                disk_fails(disk)
                with pytest.raises(OSError, match="Read-only"):
                    (home.state / "x").touch()
                chat = await asyncio.to_thread(home.run_command, "chat", "home", given="on a dead disk\n")
                assert "on a dead disk" in chat.stdout, chat.stderr
                refused = await asyncio.to_thread(home.run_command, "bot", "pause", "home")
                assert refused.returncode == 1
                assert "Read-only file system" in refused.stderr
                cut_the_power(home, process.pid)
                await process.wait()
            switch_on(home, disk)
            async with up(home):
                await until_both_live(home)
                chat = await asyncio.to_thread(home.run_command, "chat", "second", given="after the night\n")
                assert "after the night" in chat.stdout, chat.stderr
                assert "[1 message]" in chat.stdout, "a conversation does not outlive a host"
            unmount_below(home.state)
        await until_gone(home)


async def until_both_live(home: Home) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(NodeUnreachableError):
                found = (await NodeClient(Run(home.run).node).status()).bots
                if [bot.state for bot in found] == [BotState.LIVE, BotState.LIVE]:
                    return
            await asyncio.sleep(0.05)


def disk_fails(disk: Path) -> None:
    """As ext4 does it after an error: read-only until it was repaired (ext4(5), errors=remount-ro)."""
    subprocess.run(["mount", "-o", "remount,errors=remount-ro", str(disk)], check=True)
    device = subprocess.run(["findmnt", "-no", "SOURCE", str(disk)], check=True, capture_output=True, text=True).stdout
    Path("/sys/fs/ext4", Path(device.strip()).name, "trigger_fs_error").write_text("1")


def cut_the_power(home: Home, supervisor: int) -> None:
    """Every process at once, and all that is in RAM; the disk keeps what it had, in whatever state."""
    monitors = [int(name) for name in processes_of(home)]
    doomed = [supervisor, *running(State(home.state)).values(), *monitors]
    doomed += [child for monitor in monitors for child in children(monitor)]
    for process in doomed:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    unmount_below(home.state)
    layout.remove_run(Run(home.run))


def switch_on(home: Home, disk: Path) -> None:
    """From a copy, for a mount namespace that somebody else has made meanwhile may hold the disk that failed."""
    failed, image = disk.with_name("disk.img"), disk.with_name("again.img")
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
    subprocess.run(["cp", "--sparse=always", str(failed), str(image)], check=True)
    repaired = subprocess.run(["e2fsck", "-p", str(image)], check=False, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    assert repaired.returncode in {0, 1}, repaired.stdout
    assert not home.run.exists()
