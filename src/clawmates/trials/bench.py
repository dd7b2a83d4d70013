"""``make bench``: what is claimed of speed and size, each figure beside a floor taken in the same run.

Absolute times mean little on a shared machine; the ratio to the floor does. What each figure says, its floor and its
target stand in :mod:`clawmates.trials.figures`; ``docs/performance.md`` is made from a run's JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from clawmates.selfhost import bots
from clawmates.selfhost.accounts import SERVICES
from clawmates.simulator.model import Service
from clawmates.trials import (
    bare_fleet,
    bench_after,
    bench_alert,
    bench_control,
    bench_erasure,
    bench_fleet,
    bench_gateway,
    bench_launch,
    bench_messages,
    bench_nodes,
    bench_recover,
    bench_retention,
    bench_vault,
    handovers,
    machine,
)
from clawmates.trials.figures import table
from clawmates.trials.measure import MIB, pss
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.desired import DesiredState
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

COLD_STARTS = 10
START_SECONDS = 30.0
FLOOR_STARTS = 20


def say(text: str) -> None:
    """Progress, beside the figures."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


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


async def _no_bots(trial: Throwaway) -> None:
    bots.write(trial.state, DesiredState(revision=bots.read(trial.state).revision + 1))
    async with asyncio.timeout(60):
        while (await trial.live.status()).bots:  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(0.1)


async def _starts(trial: Throwaway) -> dict[str, float]:
    starts = await cold_starts(trial)
    say("bare containers, for the floor")
    bare = await bare_fleet.figures(trial, FLOOR_STARTS)
    return {
        "cold_start_s_p50": median(starts),
        "cold_start_s_max": max(starts),
        "floor_start_s_p50": bare.start_s_p50,
        "cold_start_ratio": median(starts) / bare.start_s_p50,
    }


async def _fixed(trial: Throwaway) -> dict[str, float]:
    services = sum(pss(trial.platform.supervisor.pid(name)) for name in SERVICES)
    return {"image_mib": trial.release.image.size / MIB, "fixed_mib": services / MIB}


PARTS: dict[str, tuple[str, Callable[[Throwaway], Awaitable[dict[str, float]]]]] = {
    "starts": ("starting from nothing, one bot at a time", _starts),
    "messages": ("messages, ours and a bare script's", bench_messages.figures),
    "alert": ("another chat's message, and Stop, while an answer is written", bench_alert.figures),
    "vault": ("releases of the vault", bench_vault.figures),
    "handovers": ("a bot that is replaced twenty times while people talk to it", handovers.figures),
    "recover": ("every process of a host killed at once", bench_recover.figures),
    "fixed": ("the platform by itself", _fixed),
    "after": ("bots that have talked", bench_after.figures),
    "fleet": ("a host full of bots", bench_fleet.figures),
}
"""On one platform, one after the other; each begins without bots."""
ALONE: dict[str, tuple[str, Callable[[], Awaitable[dict[str, float]]]]] = {
    "gateway": ("the gateway, beside a plain relay", bench_gateway.figures),
    "control": ("control and its nodes", bench_nodes.figures),
    "control-pages": ("control's pages, beside a bare one", bench_control.figures),
    "retention": ("the retention jobs in two simulated years", bench_retention.figures),
    "erasure": ("accounts that are deleted, among 10,000", bench_erasure.figures),
    "launch": ("bots that are launched in a browser", bench_launch.figures),
}
"""They need no platform, or one of their own kind."""


async def bench(wanted: Sequence[str] = (*PARTS, *ALONE)) -> AsyncIterator[dict[str, float]]:
    """The figures of some parts, part by part, by flat keys; units stand in the names."""
    if set(wanted) & set(PARTS):
        async with throwaway() as trial:
            for name, (title, measure) in PARTS.items():
                if name in wanted:
                    say(title)
                    yield _rounded(await measure(trial))
                    await _no_bots(trial)
    for name, (title, measure_alone) in ALONE.items():
        if name in wanted:
            say(title)
            yield _rounded(await measure_alone())


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> int:
    """Measures, prints, and writes flat JSON where asked."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", action="append", choices=[*PARTS, *ALONE], help="this part only; may be repeated")
    wanted = parser.parse_args()
    return run_trial(_measure(wanted.json, wanted.part or [*PARTS, *ALONE]))


async def _measure(path: Path | None, parts: Sequence[str]) -> int:
    figures: dict[str, float] = {}
    described = await machine.describe()
    async for measured in bench(parts):
        figures |= measured
        if path is not None:
            # After each part: what was measured in half an hour is not lost by the part that fails.
            path.write_text(json.dumps(figures | described, indent=2, sort_keys=True) + "\n")  # noqa: ASYNC240 - between parts
    sys.stdout.write(table(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
