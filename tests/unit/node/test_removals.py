from __future__ import annotations

import asyncio

import pytest

from clawmates.node.engines.base import EngineError
from clawmates.node.engines.removals import TOGETHER, TRIES, Removals


async def test_those_that_wait_go_together_and_one_that_is_held_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, ...]] = []
    begun, free = asyncio.Event(), asyncio.Event()
    held = {"c3"}

    async def take(names: tuple[str, ...]) -> None:
        taken.append(names)
        begun.set()
        await free.wait()
        if held & set(names) and len(taken) < 4:
            raise EngineError

    monkeypatch.setattr("clawmates.node.engines.removals.PAUSE", 0.0)
    removals = Removals(take)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(TOGETHER + 4):
            group.create_task(removals.remove(f"c{number}"))
        await begun.wait()
        free.set()
    assert taken[0] == ("c0",)
    assert taken[1] == tuple(f"c{number}" for number in range(1, TOGETHER + 1))
    alone = {names for names in taken if len(names) == 1}
    assert {name for names in taken for name in names} == {f"c{number}" for number in range(TOGETHER + 4)}
    assert ("c3",) in alone


async def test_what_cannot_be_removed_is_said_and_tried_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    async def take(_names: tuple[str, ...]) -> None:
        nonlocal tried
        tried += 1
        raise EngineError

    monkeypatch.setattr("clawmates.node.engines.removals.PAUSE", 0.0)
    with pytest.raises(EngineError):
        await Removals(take).remove("c0")
    assert tried == TRIES
