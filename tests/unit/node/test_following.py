"""Node's side of control: what it does with the answers, and with none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.engines import bot

from clawmates.node.following import PATIENCE_SECONDS, Follower, Pauses
from clawmates.wire.codes import Trouble
from clawmates.wire.control_client import ControlUnreachableError, DesiredUnreadableError
from clawmates.wire.desired import DesiredState


class Line:
    """Gives the answers in their order, and then waits for ever."""

    def __init__(self, *answers: DesiredState | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []
        self.done = asyncio.Event()

    async def client(self) -> Line:
        return self

    async def desired(self, after: int) -> DesiredState | None:
        self.asked.append(after)
        if not self.answers:
            self.done.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_keeper() -> Any:
    keeper = SimpleNamespace(now=0.0, desired_trouble=None, heard=[])

    def wants(fresh: DesiredState | Trouble) -> None:
        keeper.heard.append(fresh)
        keeper.desired_trouble = fresh if isinstance(fresh, Trouble) else None
        keeper.now += PATIENCE_SECONDS if isinstance(fresh, Trouble) else 0

    keeper.wants = wants
    return keeper


async def follow(line: Line, keeper: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.node.following.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("clawmates.node.following.LONGEST_PAUSE", 0.0)
    pauses = Pauses(lambda: 0.5, 0.0)
    task = asyncio.create_task(Follower(line, keeper, path, pauses).follow())  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await line.done.wait()
    task.cancel()


ONE, TWO = (DesiredState(revision=number, bots=(bot(),)) for number in (1, 2))


async def test_what_control_said_last_outlives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, keeper = tmp_path / "node" / "desired.json", a_keeper()
    line = Line(ONE, None, TWO, ONE)
    await follow(line, keeper, path, monkeypatch)
    assert keeper.heard == [ONE, TWO], "an older one changes nothing"
    assert line.asked == [0, 1, 1, 2, 2]
    restarted = a_keeper()
    line = Line(ControlUnreachableError())
    await follow(line, restarted, path, monkeypatch)
    assert restarted.heard == [TWO]
    assert line.asked == [2, 2]


async def test_a_silence_is_said_after_a_while_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = a_keeper()
    line = Line(ControlUnreachableError(), ControlUnreachableError(), DesiredUnreadableError(), None)

    async def passes(after: int) -> DesiredState | None:
        keeper.now += PATIENCE_SECONDS / 2
        return await Line.desired(line, after)

    line.desired = passes  # type: ignore[method-assign]
    await follow(line, keeper, tmp_path / "desired.json", monkeypatch)
    assert keeper.heard == [Trouble.DESIRED_INVALID]
    line.answers = [ControlUnreachableError() for _ in range(3)]
    line.done.clear()
    keeper.desired_trouble = None
    await follow(line, keeper, tmp_path / "desired.json", monkeypatch)
    assert keeper.heard[-1] is Trouble.CONTROL_DOWN
    line.answers = [None]
    line.done.clear()
    await follow(line, keeper, tmp_path / "desired.json", monkeypatch)
    assert keeper.desired_trouble is None


def test_pauses_grow_to_an_end_and_differ() -> None:
    pauses = Pauses(lambda: 1.0)
    waits = [pauses.after_failure() for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[0] == 0.25
    assert waits[-1] == 10.0
    pauses.reset()
    assert pauses.after_failure() == 0.25
    assert Pauses(lambda: 0.0).after_failure() == 0.125
