"""``make bench``: what is claimed of speed and size, each figure beside a floor taken in the same run.

Absolute times mean little on a shared machine; the ratio to the floor does. The floor is a bare container of the same
image and the same walls, started by the same engine, in which an idle Python has imported asyncio, ssl and h11.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.spec import container_spec
from clawmates.selfhost import bots
from clawmates.selfhost.accounts import SERVICES
from clawmates.simulator.model import Service
from clawmates.trials import bench_gateway, bench_messages, bench_vault
from clawmates.trials.measure import MIB, available, pss
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.node.engines.base import ContainerSpec

BOTS = 20
COLD_STARTS = 10
SETTLE_SECONDS = 60.0
POLL_SECONDS = 75.0
START_SECONDS = 30.0
FLOOR_FIRST_SLOT = 900_000
FLOOR = "import asyncio, ssl, h11, signal; ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); signal.pause()"


def say(text: str) -> None:
    """Progress, beside the figures."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Floor:
    """Bare containers: seconds to start one, bytes of host memory for one."""

    start_s_p50: float
    idle_mib: float


async def cold_starts(trial: Throwaway) -> list[float]:
    """Seconds from the rename of ``desired.json`` to the new mate's first ``getUpdates``, one bot at a time."""
    taken = []
    for number in range(COLD_STARTS):
        bot = Bot.invent(f"cold-{number}", ChannelKind.TELEGRAM)
        await trial.add([bot], paused=True)
        spec = bots.find(bots.read(trial.state), bot.name)
        now = bots.read(trial.state)
        begun = time.monotonic()
        bots.write(trial.state, DesiredState(revision=now.revision + 1, bots=(replace(spec, paused=False),)))
        (call, *_rest) = await trial.simulator.wait_call(
            Service.TELEGRAM, "getUpdates", caller=bot.username, timeout=START_SECONDS
        )
        taken.append(call.received - begun)
        say(f"  cold start {number + 1} of {COLD_STARTS}: {taken[-1]:.3f} s")
    await _no_bots(trial)
    return taken


async def idle(trial: Throwaway, before: int) -> float:
    """MiB of host memory a bot takes, everything counted, 60 s after the last bot's second poll."""
    crowd = [Bot.invent(f"idle-{number}", ChannelKind.TELEGRAM) for number in range(BOTS)]
    await trial.add(crowd)
    await trial.until_live(*(bot.name for bot in crowd))
    say(f"  {BOTS} bots are live; waiting for everybody's second poll, then {SETTLE_SECONDS:.0f} s")
    async with asyncio.TaskGroup() as group:
        for bot in crowd:
            group.create_task(
                trial.simulator.wait_call(
                    Service.TELEGRAM, "getUpdates", caller=bot.username, count=2, timeout=POLL_SECONDS
                )
            )
    await asyncio.sleep(SETTLE_SECONDS)
    after = available()
    await _no_bots(trial)
    return (before - after) / BOTS / MIB


async def _no_bots(trial: Throwaway) -> None:
    bots.write(trial.state, DesiredState(revision=bots.read(trial.state).revision + 1))
    async with asyncio.timeout(60):
        while (await trial.live.status()).bots:  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(0.1)


async def floor(trial: Throwaway) -> Floor:
    """The same number of bare containers, in an engine storage of their own."""
    run = trial.live.run
    engine = await PodmanEngine.open(PodmanFiles(trial.root / "floor", run.root / "floor"))
    archive = trial.state.release / trial.release.image.archive
    await engine.load(archive)
    async with AsyncExitStack() as stack:
        stack.callback(engine.close)
        before = available()
        taken = []
        for number in range(BOTS):
            spec = _bare(trial, number)
            begun = time.monotonic()
            await engine.start(spec)
            taken.append(time.monotonic() - begun)
            stack.push_async_callback(engine.stop, spec.name, 0)
        await asyncio.sleep(5)
        return Floor(median(taken), (before - available()) / BOTS / MIB)


def _bare(trial: Throwaway, number: int) -> ContainerSpec:
    some = BotSpec(
        id=f"floor-{number}", tenant="floor", channel=ChannelKind.TERMINAL, provider="openai", model="none", items={}
    )
    spec = container_spec(
        some, trial.release, trial.live.run, slot=FLOOR_FIRST_SLOT + number, generation=1, memory_mib=128
    )
    return replace(spec, mounts=(), command=("/usr/bin/python3", "-I", "-OO", "-c", FLOOR))


async def bench() -> dict[str, float]:
    """All figures, by flat keys; units stand in the names."""
    figures: dict[str, float] = {}
    async with throwaway() as trial:
        figures["image_mib"] = trial.release.image.size / MIB
        say("starting from nothing, one bot at a time")
        starts = await cold_starts(trial)
        say("bare containers, for the floor")
        bare = await floor(trial)
        say("messages, ours and a bare script's")
        figures |= await bench_messages.figures(trial)
        say("releases of the vault")
        figures |= await bench_vault.figures(trial)
        await _no_bots(trial)
        say("memory")
        figures["fixed_mib"] = sum(pss(trial.platform.supervisor.pid(name)) for name in SERVICES) / MIB
        with_platform = available()
        figures["idle_mib_per_bot_20"] = await idle(trial, with_platform)
    say("the gateway, beside a plain relay")
    figures |= await bench_gateway.figures()
    figures["cold_start_s_p50"] = median(starts)
    figures["cold_start_s_max"] = max(starts)
    figures["floor_start_s_p50"] = bare.start_s_p50
    figures["floor_idle_mib_20"] = bare.idle_mib
    figures["cold_start_ratio"] = median(starts) / bare.start_s_p50
    figures["idle_ratio_20"] = figures["idle_mib_per_bot_20"] / bare.idle_mib
    return {name: round(value, 3) for name, value in figures.items()}


AT_MOST = {
    "cold_start_s_p50": 1.0,
    "connect_ms_p95": 3.0,
    "cpu_ratio": 2.5,
    "first_message_ms": 50.0,
    "first_token_ms_p95": 60.0,
    "gateway_heal_s": 2.0,
    "idle_mib_per_bot_20": 14.0,
    "image_mib": 60.0,
    "overhead_ms_p95": 15.0,
    "overhead_ratio_p50": 1.5,
}
AT_LEAST = {"gateway_ratio": 0.5, "gateway_ratio_50": 0.5, "vault_releases_per_s": 200.0}


def table(figures: dict[str, float]) -> str:
    """What a person reads; a missed target is said, not hidden."""
    return "\n".join(f"  {name:<26} {value:>9.3f}{_verdict(name, value)}" for name, value in sorted(figures.items()))


def _verdict(name: str, value: float) -> str:
    if name in AT_MOST:
        return f"  (target at most {AT_MOST[name]:g}: {'met' if value <= AT_MOST[name] else 'MISSED'})"
    if name in AT_LEAST:
        return f"  (target at least {AT_LEAST[name]:g}: {'met' if value >= AT_LEAST[name] else 'MISSED'})"
    return ""


def main() -> int:
    """Measures, prints, and writes flat JSON where asked."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    return run_trial(_measure(wanted.json))


async def _measure(path: Path | None) -> int:
    figures = await bench()
    sys.stdout.write(table(figures) + "\n")
    if path is not None:
        path.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")  # noqa: ASYNC240 - at the very end
    return 0


if __name__ == "__main__":
    sys.exit(main())
