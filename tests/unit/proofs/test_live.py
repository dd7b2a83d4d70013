"""What can go wrong when a running platform's processes are ended; the rest is tried on a whole one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from clawmates.base.settings import Platform, Settings
from clawmates.proofs import live
from clawmates.proofs.errors import ProofError
from clawmates.proofs.live import LivePlatform

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State


@pytest.fixture
def platform(state: State, run_folder: Run) -> LivePlatform:
    return LivePlatform(state, Settings(platform=Platform(run=str(run_folder.root))))


async def test_a_platform_that_does_not_run_is_said_to_be(platform: LivePlatform) -> None:
    with pytest.raises(ProofError, match="does not run here"):
        await platform.kill("vault")


def as_if_running(monkeypatch: pytest.MonkeyPatch, pids: dict[str, int]) -> None:
    monkeypatch.setattr(live, "running", lambda _state: pids)


@pytest.mark.parametrize("pid", [0, 1 << 30])
async def test_a_process_that_is_not_there_cannot_be_killed(
    platform: LivePlatform, pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_if_running(monkeypatch, {"gateway": pid})
    with pytest.raises(ProofError, match="the process of gateway is not there"):
        await platform.kill("gateway")


async def test_a_process_that_nobody_starts_again_is_no_proof(
    platform: LivePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIVE_AGAIN_SECONDS", 0.01)
    process = await asyncio.create_subprocess_exec("/bin/sleep", "100")
    as_if_running(monkeypatch, {"vault": process.pid})
    with pytest.raises(ProofError, match="vault did not come back after kill -9"):
        await platform.kill("vault")
    assert await process.wait() == -9
