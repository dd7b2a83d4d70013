"""What happens to a whole host: its processes die, its disk fills or fails, its clock jumps, it is switched off.

Each time everything comes back with every bot, and nobody helps it; how soon is a figure of ``make bench``. What a host
outlives it outlives on one platform, one thing after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
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
from clawmates.wire.codes import Trouble
from clawmates.wire.names import ChannelKind
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError

pytestmark = pytest.mark.timeout(300)

SERVICES = ("vault", "gateway", "node")
SECONDS = 100.0
FIRST, SECOND, THIRD, LATE = (Bot.invent(name, ChannelKind.TERMINAL) for name in ("first", "second", "third", "late"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial() -> AsyncIterator[Throwaway]:
    """Its first bot is live, its second one paused."""
    async with throwaway(disk=True) as there:
        await there.add([FIRST, SECOND], paused=True)
        await there.add([FIRST])
        await there.until_live("first")
        yield there


def fill(folder: Path) -> Path:
    """Takes every block that root can have, without a byte written; the file to remove afterwards."""
    hog = folder / "hog"
    descriptor = os.open(hog, os.O_WRONLY | os.O_CREAT)
    try:
        size = 64 << 20
        while size >= 512:
            try:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
            except OSError:
                size //= 2
    finally:
        os.fsync(descriptor)
        os.close(descriptor)
    return hog


@pytest.mark.asyncio(loop_scope="module")
async def test_a_full_disk_stops_nothing_that_runs_and_heals_by_itself(trial: Throwaway) -> None:
    hog = fill(trial.state.root)
    assert "on a full disk" in await trial.live.chat("first", "on a full disk")
    before = trial.state.desired.read_bytes()
    with pytest.raises((VaultError, OSError)) as refused:
        await trial.add([THIRD])
    if isinstance(refused.value, VaultError):
        assert refused.value.refusal is VaultRefusal.STORAGE_FAILED
    assert trial.state.desired.read_bytes() == before
    hog.unlink()
    await trial.add([SECOND, THIRD])
    await trial.until_live("first", "second", "third")
    assert "room again" in await trial.live.chat("second", "room again")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_container_that_finds_no_room_says_so_and_starts_when_there_is(trial: Throwaway) -> None:
    await trial.add([LATE], paused=True)
    room = trial.state.desired.read_bytes().replace(b'"paused":true', b'"paused":false')
    hog = fill(trial.state.root)
    # A rename of a file that was written before needs no room.
    os.truncate(hog, hog.stat().st_size - 8192)
    trial.state.desired.write_bytes(room)
    fill(trial.state.root / "log").rename(trial.state.root / "hog2")
    stuck = await trial.until("late", lambda now: now.code in {Trouble.DISK_FULL, Trouble.ENGINE_FAILED})
    assert stuck.pid == 0
    (trial.state.root / "hog").unlink()
    (trial.state.root / "hog2").unlink()
    await trial.until_live("late")
    trial.take_out("third", "late")
    await trial.until_only("first", "second")


def pids(trial: Throwaway) -> dict[str, int]:
    return {name: trial.platform.supervisor.pid(name) for name in SERVICES}


async def killed_and_back(trial: Throwaway) -> None:
    """Every process is killed, then another one and ready, and both bots answer."""
    old, running = pids(trial), trial.platform.supervisor.running
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        while any(one.pid in {0, old[name]} or not one.ready.is_set() for name, one in running.items()):  # noqa: ASYNC110 - other processes change
            await asyncio.sleep(0.02)
    await trial.until_live("first", "second")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_full_disk_keeps_no_process_from_coming_back(trial: Throwaway) -> None:
    hog = fill(trial.state.root)
    await killed_and_back(trial)
    assert "on a full disk" in await trial.live.chat("first", "on a full disk")
    hog.unlink()
    await killed_and_back(trial)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_clock_that_jumps_takes_no_bot_down(trial: Throwaway) -> None:
    """Two days ahead, from there four days back, and home again."""
    text = trial.state.config.read_text()
    for days in (2, -2):
        jumped = text.replace("[platform]\n", f"[platform]\nunsafe_clock_offset = {days * 86400}\n")
        trial.state.config.write_text(jumped)
        await killed_and_back(trial)
        assert "two days off" in await trial.live.chat("first", "two days off")
    trial.state.config.write_text(text)
    await killed_and_back(trial)


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
