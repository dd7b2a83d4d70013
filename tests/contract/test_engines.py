from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from tests.support.engines import SHORT, STUBBORN, Rig, podman, rig

from clawmates.node.engines.base import Engine, EngineError, ImageMissingError, NameTakenError, Running
from clawmates.node.engines.fake import FakeEngine, Machine
from clawmates.node.engines.podman import PodmanEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from clawmates.node.engines.base import Exited


@dataclass
class Bench:
    """An engine under test; ``crash`` ends a container's process as the kernel would."""

    engine: Engine
    rig: Rig
    crash: Callable[[Running], None]
    again: Callable[[], Engine]


@pytest.fixture(scope="module")
def host() -> Iterator[Rig]:
    with rig() as made:
        yield made


@pytest.fixture(params=["fake", "podman"])
async def bench(request: pytest.FixtureRequest, host: Rig) -> AsyncIterator[Bench]:
    async with _fake(host) if request.param == "fake" else _podman(host) as made:
        yield made


@asynccontextmanager
async def _fake(host: Rig) -> AsyncIterator[Bench]:
    machine = Machine(images={host.image})
    engine = FakeEngine(machine)
    yield Bench(engine, host, lambda running: engine.kill(running.name), lambda: FakeEngine(machine))


@asynccontextmanager
async def _podman(host: Rig) -> AsyncIterator[Bench]:
    opened: list[PodmanEngine] = []

    def again() -> Engine:
        opened.append(PodmanEngine(host.files, "again"))
        return opened[-1]

    async with podman(host) as engine:
        yield Bench(engine, host, lambda running: os.kill(running.pid, signal.SIGKILL), again)
        for one in opened:
            one.close()


async def _next(engine: Engine) -> Exited:
    async with asyncio.timeout(60):
        return await engine.events().__aiter__().__anext__()


async def test_a_started_container_is_listed_with_what_it_was_started_from(bench: Bench) -> None:
    spec = bench.rig.spec("mate-a-1", slot=3)
    running = await bench.engine.start(spec)
    assert (running.name, running.image, dict(running.labels)) == ("mate-a-1", spec.image, dict(spec.labels))
    assert running.pid > 0
    assert await bench.engine.list() == (running,)


async def test_a_crash_is_told_once_and_the_rest_is_listed_as_not_running(bench: Bench) -> None:
    running = await bench.engine.start(bench.rig.spec("mate-a-1"))
    bench.crash(running)
    ended = await _next(bench.engine)
    assert (ended.name, ended.id) == (running.name, running.id)
    async with asyncio.timeout(60):
        while (listed := await bench.engine.list())[0].pid:
            continue
    assert [one.name for one in listed] == ["mate-a-1"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await bench.engine.events().__aiter__().__anext__()


async def test_stopping_removes_and_is_told(bench: Bench) -> None:
    running = await bench.engine.start(bench.rig.spec("mate-a-1"))
    await bench.engine.stop("mate-a-1", 10)
    assert (await _next(bench.engine)).id == running.id
    assert await bench.engine.list() == ()


async def test_stopping_what_is_not_there_is_no_error(bench: Bench) -> None:
    await bench.engine.stop("mate-nobody-1", 0)
    assert await bench.engine.list() == ()


async def test_a_container_that_has_ended_can_be_removed(bench: Bench) -> None:
    running = await bench.engine.start(bench.rig.spec("mate-a-1"))
    bench.crash(running)
    await _next(bench.engine)
    await bench.engine.stop("mate-a-1", 0)
    assert await bench.engine.list() == ()


async def test_a_name_can_be_had_once(bench: Bench) -> None:
    running = await bench.engine.start(bench.rig.spec("mate-a-1"))
    with pytest.raises(NameTakenError):
        await bench.engine.start(bench.rig.spec("mate-a-1"))
    assert await bench.engine.list() == (running,)


async def test_an_unknown_image_is_refused_and_leaves_nothing(bench: Bench) -> None:
    other = "sha256:" + "0" * 64
    assert not await bench.engine.has(other)
    with pytest.raises(ImageMissingError):
        await bench.engine.start(replace(bench.rig.spec("mate-a-1"), image=other))
    assert await bench.engine.list() == ()


async def test_an_archive_that_is_not_there_is_an_error(bench: Bench) -> None:
    with pytest.raises(EngineError):
        await bench.engine.load(bench.rig.disk / "nothing.tar")


async def test_another_engine_on_the_same_machine_adopts_and_is_told(bench: Bench) -> None:
    running = await bench.engine.start(bench.rig.spec("mate-a-1", slot=7))
    second = bench.again()
    assert await second.list() == (running,)
    bench.crash(running)
    assert (await _next(second)).id == running.id


async def test_many_starts_at_once_all_succeed(bench: Bench) -> None:
    specs = [bench.rig.spec(f"mate-{number}-1", slot=number) for number in range(6)]
    started = await asyncio.gather(*(bench.engine.start(spec) for spec in specs))
    assert {one.name for one in await bench.engine.list()} == {one.name for one in started}
    assert len({one.pid for one in started}) == len(specs)


async def test_podman_kills_what_ignores_sigterm_after_the_grace(host: Rig) -> None:
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1", STUBBORN))
        async with asyncio.timeout(60):
            await engine.stop("mate-a-1", 1)
        assert await engine.list() == ()


async def test_podman_tells_of_a_container_that_ended_before_it_could_be_watched(host: Rig) -> None:
    async with podman(host) as engine:
        running = await engine.start(host.spec("mate-a-1", SHORT))
        assert (await _next(engine)).id == running.id


async def test_podman_loads_an_image_again_whose_load_was_cut_short(host: Rig) -> None:
    async with podman(host) as engine:
        (layer,) = (host.files.storage / "storage" / "overlay").glob("*/diff")
        shutil.rmtree(layer / "usr")
        host.files.marker(host.image).unlink()
        assert not await engine.has(host.image), "the power went before all of it was on the disk"
        await engine.load(host.release / "mate.oci.tar")
        assert await engine.has(host.image)
        assert (await engine.start(host.spec("mate-a-1"))).pid
        assert list(host.files.scratch.iterdir()) == []


async def test_podman_leaves_the_machines_own_podman_alone(host: Rig) -> None:
    async with podman(host) as engine:
        running = await engine.start(host.spec("mate-a-1"))
        state = host.files.run / "runtime" / running.id
        assert state.is_dir()
        assert {path.name for path in host.files.storage.iterdir()} >= {"storage", "containers.conf", "storage.conf"}
        await engine.stop("mate-a-1", 0)
        assert not state.exists()
