from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import Counted, Place, a_place

from clawmates.control.outbox import worker as worker_module
from clawmates.control.outbox.outbox import PERISHES, Done, Later, Outcome, Refused, Task, add, pause
from clawmates.control.outbox.tables import Errand
from clawmates.control.outbox.worker import HOLD, Worker


@dataclass
class Told:
    """Answers from a list; settles by remembering."""

    perishes: bool = True
    answers: list[Outcome | BaseException] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    settled: list[tuple[str, Outcome]] = field(default_factory=list)
    any_settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def do(self, task: Task) -> Outcome:
        self.done.append(task.body)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else Done()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        self.settled.append((task.body, outcome))
        self.any_settled.set()


def hands(place: Place, told: Told) -> Worker:
    return Worker(database=place.database, clock=place.clock, random=Counted(), handlers={"tell": told})


async def put(place: Place, lane: str, *bodies: str, kind: str = "tell") -> None:
    async with place.database.writing() as session:
        for body in bodies:
            await add(session, lane, kind, body, now=place.clock.now())


async def left(place: Place) -> int:
    async with place.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Errand)) or 0


async def test_a_lane_is_done_in_its_order_and_a_refusal_lets_it_go_on(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1", "2", "3")
        told = Told(answers=[Done("x"), Refused("no"), Done()])
        assert await hands(place, told).round()
        assert told.settled == [("1", Done("x")), ("2", Refused("no")), ("3", Done())]
        assert await left(place) == 0
        assert not await hands(place, told).round()


async def test_what_failed_holds_up_its_own_lane_only_and_is_said_again(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "a1", "a2")
        told = Told(answers=[Later("vault-down")])
        worker = hands(place, told)
        await worker.round()
        await put(place, "bot/b", "b1")
        await worker.round()
        assert told.done == ["a1", "b1"]
        async with place.database.reading() as session:
            waiting = (await session.scalars(select(Errand.trouble).where(Errand.lane == "bot/a"))).all()
        assert sorted(waiting) == ["", "vault-down"]
        place.clock.forward(seconds=1)
        await worker.round()
        assert told.done == ["a1", "b1", "a1", "a2"]


@pytest.mark.parametrize("death", ["while it is done", "before it is settled"])
async def test_a_replica_that_dies_leaves_its_errand_to_another(
    death: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1", "2")
        told = Told(answers=[asyncio.CancelledError()] if death == "while it is done" else [])
        with monkeypatch.context() as patch:
            if death == "before it is settled":

                async def die(*_: object) -> bool:
                    raise asyncio.CancelledError

                patch.setattr(Worker, "_settle", die)
            await hands(place, told).round()
        other = hands(place, told)
        assert not await other.round(), "it is held for the one that took it"
        place.clock.forward(seconds=HOLD.total_seconds())
        assert await other.round()
        assert told.done == ["1", "1", "2"]
        assert await left(place) == 0


async def test_two_replicas_never_do_one_errand_at_once(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        for lane in range(20):
            await put(place, f"bot/{lane}", f"{lane}-1", f"{lane}-2")
        told = Told()
        for _ in range(4):
            await asyncio.gather(hands(place, told).round(), hands(place, told).round())
        assert sorted(told.done) == sorted(f"{lane}-{step}" for lane in range(20) for step in (1, 2))


async def test_who_was_held_up_too_long_settles_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1")
        told = Told()
        slow, quick = hands(place, told), hands(place, told)
        (taken,) = await slow._take()
        place.clock.forward(seconds=HOLD.total_seconds())
        (again,) = await quick._take()
        assert not await slow._settle(taken, Done())
        assert await quick._settle(again, Done())
        assert len(told.settled) == 1


async def test_a_weakened_worker_without_the_hold_does_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "HOLD", timedelta(0))
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1")
        told = Told()
        await hands(place, told)._take()
        assert await hands(place, told)._take()


@pytest.mark.parametrize("perishes", [True, False])
async def test_what_perishes_is_given_up_after_a_day(*, perishes: bool, tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1")
        place.clock.forward(seconds=PERISHES.total_seconds())
        told = Told(perishes=perishes)
        await hands(place, told).round()
        assert told.settled == [("1", Refused("expired") if perishes else Done())]


async def test_what_perishes_is_given_up_in_time_also_behind_what_does_not(tmp_path: Path) -> None:
    """A sealed token behind an assignment that waits for a host with room would be kept for as long as that waits."""
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "assign", kind="wait")
        await put(place, "bot/a", "1", "2")
        assign, told = Told(perishes=False, answers=[Later("no-node")] * 9), Told()
        known = {"wait": assign, "tell": told}
        worker = Worker(database=place.database, clock=place.clock, random=Counted(), handlers=known)
        await worker.round()
        place.clock.forward(seconds=PERISHES.total_seconds() - 1)
        await worker.round()
        assert (told.settled, await left(place)) == ([], 3)
        place.clock.forward(seconds=1)
        await worker.round()
        assert sorted(told.settled) == [("1", Refused("expired")), ("2", Refused("expired"))]
        assert (told.done, await left(place)) == ([], 1)


async def test_a_defect_is_told_without_what_it_was_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "canary-1")
        await put(place, "bot/b", "canary-2", kind="of-a-newer-one")
        await hands(place, Told(answers=[RuntimeError("canary-3")])).round()
        said = "".join(capsys.readouterr())
        assert "errand failed" in said
        assert "canary" not in said
        assert await left(place) == 2


async def test_a_worker_stops_when_it_is_told_to(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        await put(place, "bot/a", "1")
        told, stop = Told(), asyncio.Event()
        task = asyncio.create_task(hands(place, told).run(stop))
        async with asyncio.timeout(10):
            await told.any_settled.wait()
        stop.set()
        await task
        assert await left(place) == 0


def test_pauses_grow_to_a_minute_and_differ() -> None:
    spans = [pause(tries, lambda size: b"\xff" * size).total_seconds() for tries in range(12)]
    assert spans[:3] == [0.5, 1.0, 2.0]
    assert max(spans) == 60
    assert pause(40, bytes).total_seconds() == 30
