from __future__ import annotations

import asyncio

import pytest

from clawmates.node.engines.base import EngineError
from clawmates.node.engines.lookups import Lookups


async def test_those_that_wait_are_asked_about_together_and_a_missing_one_costs_no_other() -> None:
    asked: list[tuple[str, ...]] = []
    begun, free = asyncio.Event(), asyncio.Event()

    async def ask(names: tuple[str, ...]) -> bytes:
        asked.append(names)
        begun.set()
        await free.wait()
        if "gone" in names:
            raise EngineError
        return "".join(f"{name} id-{name} image 7\n" for name in reversed(names)).encode()

    lookups = Lookups(ask)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        finding = {"first": group.create_task(lookups.find("first"))}
        await begun.wait()
        finding |= {name: group.create_task(lookups.find(name)) for name in ("b", "c")}
        await asyncio.sleep(0)
        free.set()
    assert asked == [("first",), ("b", "c")]
    assert {name: task.result() for name, task in finding.items()} == {
        name: (f"id-{name}", "image", "7") for name in ("first", "b", "c")
    }
    found = await asyncio.gather(*(lookups.find(name) for name in ("d", "gone", "e")), return_exceptions=True)
    assert (found[0], found[2]) == (("id-d", "image", "7"), ("id-e", "image", "7"))
    assert isinstance(found[1], EngineError)


async def test_an_answer_about_another_is_none() -> None:
    async def ask(_names: tuple[str, ...]) -> bytes:
        return b"other id image 7\n"

    with pytest.raises(EngineError):
        await Lookups(ask).find("this")
