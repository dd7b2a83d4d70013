"""A gateway that dies under its mates forgets; what it must know, the next one is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http import server
from clawmates.base.http.server import Reply
from clawmates.gateway.turns import KEY_BYTES, Ledger
from clawmates.mate import door as door_module
from clawmates.mate.door import Door
from clawmates.mate.errors import DoorError
from clawmates.wire.desired import Limits
from clawmates.wire.door import MateConfig, TurnAnswer, TurnBegin, TurnEnd, Verdict
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import ManualClock

    from clawmates.base.http.server import Peer, Request

CONFIG = MateConfig(
    revision=1,
    channel=ChannelKind.TELEGRAM,
    channel_hosts=("api.telegram.org",),
    provider="openai",
    provider_hosts=("api.openai.com",),
    model="m",
    context_tokens=10,
    output_tokens=5,
)


@dataclass
class OneLife:
    """A gateway's turns, from its birth to its death."""

    ledger: Ledger
    told: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[object]] = field(default_factory=list)

    async def handle(self, request: Request, _peer: Peer) -> Reply:
        match request.path:
            case "/turn/begin":
                return Reply.json(TurnAnswer(verdict=self.ledger.begin(request.json(TurnBegin), Limits())))
            case "/turn/end":
                self.ledger.end(request.json(TurnEnd))
                self.told.set()
                return Reply()
            case "/config" if request.query("after") == "0":
                return Reply.json(CONFIG)
            case _:
                self.asked.set()
                await asyncio.Event().wait()
        raise AssertionError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        await server.serve(reader, writer, handle=self.handle, allowed=lambda _peer: True)


@pytest.fixture
def clock() -> ManualClock:
    from tests.unit.gateway.conftest import ManualClock  # noqa: PLC0415 - a fixture of the same name stands there

    return ManualClock()


@asynccontextmanager
async def life(path: Path, clock: ManualClock) -> AsyncIterator[OneLife]:
    there = OneLife(Ledger(b"k" * KEY_BYTES, clock, 1000))
    listener = await asyncio.start_unix_server(there.serve, path)
    try:
        yield there
    finally:
        listener.close()
        for writer in there.writers:
            writer.transport.abort()
        for task in there.tasks:
            task.cancel()
        if there.tasks:
            await asyncio.wait(there.tasks)
        await listener.wait_closed()


async def test_the_next_gateway_is_told_which_turns_have_ended(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "door.sock"
    door = Door(str(path))
    async with life(path, clock) as first:
        assert await door.config(0) == CONFIG
        following = asyncio.create_task(door.config(1))
        await first.asked.wait()
        for turn in ("1", "2"):
            await door.begin(turn, "a")
        await door.end(TurnEnd(turn="1", output_tokens=3))
    path.unlink()
    async with life(path, clock) as second, asyncio.timeout(10):
        await second.told.wait()
        await second.asked.wait()
        assert (await door.begin("1", "a")).verdict is Verdict.DONE, "answered, and not to be answered again"
        assert (await door.begin("2", "a")).verdict is Verdict.GO
        assert second.ledger.output_tokens == 3
        assert await door.died(0)
        assert door.deaths == 1
        following.cancel()
        await asyncio.wait([following])
        for call in door._calls:
            await call.close()


async def test_every_death_is_noticed_however_soon_after_the_last(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "door.sock"
    door = Door(str(path))
    following = asyncio.create_task(door.config(1))
    async with asyncio.timeout(20):
        for deaths in range(3):
            async with life(path, clock) as there:
                await there.asked.wait()
            path.unlink()
            assert await door.died(deaths)
    assert door.deaths == 3
    following.cancel()
    await asyncio.wait([following])
    for call in door._calls:
        await call.close()


async def test_a_death_between_two_questions_is_noticed_too(tmp_path: Path, clock: ManualClock) -> None:
    """Nothing is in flight when it dies: the next question finds nobody there."""
    path = tmp_path / "door.sock"
    door = Door(str(path))
    async with life(path, clock):
        await door.begin("1", "a")
    path.unlink()
    following = asyncio.create_task(door.config(1))
    assert await door.died(0)
    following.cancel()
    await asyncio.wait([following])
    assert door.deaths == 1


async def test_what_ended_long_ago_is_not_counted_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "door.sock"
    door = Door(str(path))
    async with life(path, clock) as first:
        following = asyncio.create_task(door.config(1))
        await first.asked.wait()
        await door.end(TurnEnd(turn="yesterday"))
        monkeypatch.setattr(door_module, "ENDS_KEPT_SECONDS", 0.0)
    path.unlink()
    async with life(path, clock) as second, asyncio.timeout(10):
        await second.asked.wait()
        assert second.ledger.turns == 0
        following.cancel()
        await asyncio.wait([following])
        for call in door._calls:
            await call.close()


async def test_without_a_death_nobody_says_so(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "NOTICE_SECONDS", 0.01)
    path = tmp_path / "door.sock"
    async with life(path, clock):
        assert not await Door(str(path)).died(0)


async def test_a_gateway_that_stays_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAL_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(door_module, name, 0.01)
    with pytest.raises(DoorError):
        await Door(str(tmp_path / "nobody.sock")).config(0)
