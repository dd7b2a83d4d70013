from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clawmates.node.engines.exits import Exits
from clawmates.node.engines.podman import ENDS_A_CORE, PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.engines.removals import Removals
from clawmates.node.turns import Turns, cores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

CROWD = 4 * ENDS_A_CORE * cores()
BOUND = ENDS_A_CORE * cores()


class Slow(Exits):
    """Processes that take their time to end; counts how many are asked to at once."""

    now = most = 0

    async def terminate(self, name: str, seconds: float) -> bool:
        del name, seconds
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(20):
            await asyncio.sleep(0)
        self.now -= 1
        return True


async def _most_at_once(folder: Path) -> int:
    """Stops a crowd by the engine's own verb; how many were ended at the same time."""
    engine, gone = PodmanEngine(PodmanFiles(folder, folder), ""), list[str]()

    async def take(names: tuple[str, ...]) -> None:
        gone.extend(names)

    engine._exits, engine._removals = Slow(), Removals(take)
    async with asyncio.timeout(30):
        await asyncio.gather(*(engine.stop(f"mate-{number}", 10) for number in range(CROWD)))
    assert len(gone) == CROWD
    return engine._exits.most


async def test_a_host_full_of_bots_is_ended_a_few_at_a_time(tmp_path: Path) -> None:
    assert await _most_at_once(tmp_path) == BOUND


async def test_without_turns_all_would_end_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""

    @asynccontextmanager
    async def turn(_self: Turns) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(Turns, "turn", turn)
    assert await _most_at_once(tmp_path) == CROWD


async def test_a_weak_container_waits_for_nobodys_turn(tmp_path: Path) -> None:
    engine, gone = PodmanEngine(PodmanFiles(tmp_path, tmp_path), ""), list[str]()

    async def take(names: tuple[str, ...]) -> None:
        gone.extend(names)

    engine._ends, engine._removals = Turns(0), Removals(take)
    async with asyncio.timeout(10):
        await engine.stop("weak", 0)
    assert gone == ["weak"]


async def test_who_finishes_an_answer_passes_the_turn_on() -> None:
    """And a turn that was passed on is not given back twice."""
    line, over = Turns(1, patience=0.0), asyncio.Event()
    held = 0

    async def hold() -> None:
        nonlocal held
        async with line.turn():
            held += 1
            await over.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(hold())
        while held < 3:  # noqa: ASYNC110 - the count sets no event
            await asyncio.sleep(0)
        over.set()
    assert line._free._value == 1
