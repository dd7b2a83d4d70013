"""A full disk: nothing is lost, a sentence says so, and what runs goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawmates.trials.throwaway import Bot, throwaway
from clawmates.wire.codes import Trouble
from clawmates.wire.names import ChannelKind
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError

pytestmark = pytest.mark.timeout(300)


def fill(folder: Path) -> Path:
    """Takes every block that root can have; the file to remove afterwards."""
    hog = folder / "hog"
    descriptor = os.open(hog, os.O_WRONLY | os.O_CREAT)
    try:
        size = 64 << 20
        while size >= 512:
            try:
                os.write(descriptor, b"\0" * size)
            except OSError:
                size //= 2
    finally:
        os.fsync(descriptor)
        os.close(descriptor)
    return hog


async def test_a_full_disk_stops_nothing_that_runs_and_heals_by_itself() -> None:
    first, second, third = (Bot.invent(name, ChannelKind.TERMINAL) for name in ("first", "second", "third"))
    async with throwaway(disk=True) as trial:
        await trial.add([first, second], paused=True)
        await trial.add([first])
        await trial.until_live("first")
        hog = fill(trial.state.root)
        assert "on a full disk" in await trial.live.chat("first", "on a full disk")
        before = trial.state.desired.read_bytes()
        with pytest.raises((VaultError, OSError)) as refused:
            await trial.add([third])
        if isinstance(refused.value, VaultError):
            assert refused.value.refusal is VaultRefusal.STORAGE_FAILED
        assert trial.state.desired.read_bytes() == before
        hog.unlink()
        await trial.add([second, third])
        await trial.until_live("first", "second", "third")
        assert "room again" in await trial.live.chat("second", "room again")


async def test_a_container_that_finds_no_room_says_so_and_starts_when_there_is() -> None:
    bot = Bot.invent("late", ChannelKind.TERMINAL)
    async with throwaway(disk=True) as trial:
        await trial.add([bot], paused=True)
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
