"""The floor for memory and starts: bare containers of the same image behind the same walls, in which nothing runs.

An idle Python that has imported asyncio, ssl and h11 and waits; started one after the other by the same engine, in a
storage of its own.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.spec import container_spec
from clawmates.trials.measure import MIB, available
from clawmates.wire.desired import BotSpec
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.node.engines.base import ContainerSpec
    from clawmates.trials.throwaway import Throwaway

FIRST_SLOT = 900_000
SETTLE_SECONDS = 5.0
STOPS_AT_ONCE = 4
PROGRAM = "import asyncio, ssl, h11, signal; ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); signal.pause()"


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds to start one, how many start in a second one after the other, bytes of host memory for one."""

    start_s_p50: float
    started_per_s: float
    idle_mib: float


async def figures(trial: Throwaway, count: int) -> Floor:
    """Starts ``count`` of them, looks, and ends them."""
    engine = await PodmanEngine.open(PodmanFiles(trial.root / "floor", trial.live.run.root / "floor"))
    await engine.load(trial.state.release / trial.release.image.archive)
    specs = [_bare(trial, number) for number in range(count)]
    async with AsyncExitStack() as stack:
        stack.callback(engine.close)
        stack.push_async_callback(_stop, engine, specs)
        before = available()
        taken = []
        for spec in specs:
            begun = time.monotonic()
            await engine.start(spec)
            taken.append(time.monotonic() - begun)
        await asyncio.sleep(SETTLE_SECONDS)
        return Floor(median(taken), count / sum(taken), (before - available()) / count / MIB)


async def _stop(engine: PodmanEngine, specs: list[ContainerSpec]) -> None:
    """A few at a time: one after the other would take minutes for hundreds."""
    free = asyncio.Semaphore(STOPS_AT_ONCE)

    async def stop(name: str) -> None:
        async with free:
            await engine.stop(name, 0)

    async with asyncio.TaskGroup() as group:
        for spec in specs:
            group.create_task(stop(spec.name))


def _bare(trial: Throwaway, number: int) -> ContainerSpec:
    some = BotSpec(
        id=f"floor-{number}", tenant="floor", channel=ChannelKind.TERMINAL, provider="openai", model="none", items={}
    )
    spec = container_spec(some, trial.release, trial.live.run, slot=FIRST_SLOT + number, generation=1, memory_mib=128)
    return replace(spec, mounts=(), command=("/usr/bin/python3", "-I", "-OO", "-c", PROGRAM))
