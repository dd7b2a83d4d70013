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

from clawmates.selfhost import bots
from clawmates.selfhost.accounts import SERVICES
from clawmates.simulator.model import Service
from clawmates.trials import bare_fleet, bench_fleet, bench_gateway, bench_messages, bench_vault, machine
from clawmates.trials.figures import table
from clawmates.trials.measure import MIB, pss
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.desired import DesiredState
from clawmates.wire.names import ChannelKind

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


async def bench() -> dict[str, float]:
    """All figures, by flat keys; units stand in the names."""
    figures: dict[str, float] = {}
    async with throwaway() as trial:
        figures["image_mib"] = trial.release.image.size / MIB
        say("starting from nothing, one bot at a time")
        starts = await cold_starts(trial)
        say("bare containers, for the floor")
        bare = await bare_fleet.figures(trial, FLOOR_STARTS)
        say("messages, ours and a bare script's")
        figures |= await bench_messages.figures(trial)
        say("releases of the vault")
        figures |= await bench_vault.figures(trial)
        await _no_bots(trial)
        figures["fixed_mib"] = sum(pss(trial.platform.supervisor.pid(name)) for name in SERVICES) / MIB
        say("a host full of bots")
        figures |= await bench_fleet.figures(trial)
    say("the gateway, beside a plain relay")
    figures |= await bench_gateway.figures()
    figures["cold_start_s_p50"] = median(starts)
    figures["cold_start_s_max"] = max(starts)
    figures["floor_start_s_p50"] = bare.start_s_p50
    figures["cold_start_ratio"] = median(starts) / bare.start_s_p50
    return {name: round(value, 3) for name, value in figures.items()}


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
        document = figures | await machine.describe()
        path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")  # noqa: ASYNC240 - at the very end
    return 0


if __name__ == "__main__":
    sys.exit(main())
