"""``python -I tests/support/claims.py``: claims on a throw-away platform in its own network, whole and with defects.

A process of its own, because it moves into a network of its own. On stdout one JSON object: name of the run → report.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clawmates.base.shape import encode
from clawmates.proofs.live import LivePlatform
from clawmates.proofs.net.packets import End
from clawmates.proofs.result import Report
from clawmates.proofs.run import run
from clawmates.proofs.trial import Options
from clawmates.proofs.world import Guise, Hop, Reaction
from clawmates.trials.cable import Cable, plug
from clawmates.trials.outside import ELSEWHERE
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.trials.world import StandInWorld, world_of
from clawmates.wire.names import ChannelKind

SHORT = Options(messages=4)
LISTENER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"


@dataclass(slots=True)
class RashHop:
    """A client that trusts one bad server."""

    hop: Hop

    @property
    def name(self) -> str:
        return self.hop.name

    @property
    def guises(self) -> tuple[Guise, ...]:
        return self.hop.guises

    async def careless(self) -> Mapping[Guise, Reaction]:
        return await self.hop.careless()

    async def call(self) -> Mapping[Guise, Reaction]:
        # What a client does that checks nothing is what this one does.
        return dict.fromkeys((*self.guises, Guise.GOOD), Reaction(shook=True, spoke=True))


@dataclass(slots=True)
class RashWorld:
    """Somebody on the platform tells what was said to a stranger, in the clear; and one of its clients is rash."""

    world: StandInWorld
    stranger: End

    @property
    def rounds(self) -> tuple[tuple[Hop, ...], ...]:
        return ((RashHop(self.world.rounds[0][0]),),)

    @property
    def places(self) -> Mapping[End, str]:
        return self.world.places

    async def prepare(self) -> None:
        await self.world.prepare()

    async def refresh(self) -> None:
        await self.world.refresh()

    async def settle(self) -> None:
        await self.world.settle()

    async def converse(self, text: Callable[[int], str]) -> Mapping[str, int]:
        _, writer = await asyncio.open_connection(str(self.stranger.address), self.stranger.port)
        writer.write(text(0).encode().hex().encode())
        await writer.drain()
        writer.close()
        return await self.world.converse(text)


@dataclass(slots=True)
class Talkative(LivePlatform):
    """A platform with one process more than it says."""

    extra: int = 0

    async def processes(self) -> Mapping[str, int]:
        return {**await LivePlatform.processes(self), "gateway helper": self.extra}


async def tls13(trial: Throwaway, world: StandInWorld, cable: Cable) -> dict[str, Report]:
    whole = await run(trial.live, ["tls13"], SHORT)
    stranger = End(ELSEWHERE, 80)
    cable.add(str(ELSEWHERE))
    with cable.listen(str(stranger.address), stranger.port):
        extra = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", LISTENER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert extra.stdout is not None
            await extra.stdout.readline()
            rash = Talkative(trial.state, trial.live.settings, extra=extra.pid, world=RashWorld(world, stranger))
            defect = await run(rash, ["tls13"], SHORT)
            await rash.close()
        finally:
            extra.kill()
            await extra.wait()
    return {"tls13": whole, "tls13 with defects": defect}


async def main(cable: Cable) -> int:
    async with throwaway(cable=cable) as trial, world_of(trial) as world:
        await trial.add([Bot.invent("canary", ChannelKind.TERMINAL)])
        await trial.until_live("canary")
        reports = await tls13(trial, world, cable)
    sys.stdout.write(json.dumps(encode(reports)))
    return 0


if __name__ == "__main__":
    there = plug()
    sys.exit(run_trial(main(there)))
