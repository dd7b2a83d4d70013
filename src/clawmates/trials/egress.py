"""``make egress``: a hostile mate asks the real gateway for everything it must not reach, and packets are counted.

The gateway runs in a network namespace whose only DNS server is the trial's, and whose way out leads nowhere; every
packet in it is captured. A control shows that the counting counts: a gateway weakened on purpose is asked for the same
targets, looks names up and connects.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.http.client import HttpError
from clawmates.base.paths import Run
from clawmates.trials.egress_targets import GOOD_4, SPELLINGS, UNLISTED, Zone, bad_zone, listed
from clawmates.trials.egress_world import Capture, Names, NoWorldError, enter
from clawmates.wire.door import DoorSpec, MateConfig
from clawmates.wire.gateway_client import GatewayClient, GatewayError
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MATE_UID = 4242
AT_ONCE = 64
START_SECONDS = 20.0
ANSWER_SECONDS = 20.0
QUIET_SECONDS = 1.0
WATCH_SECONDS = 12.0
LEAST_TARGETS = 80
BROKEN, MISSING = 1, 4
REBINDING = "rebinding.listed.example"

WEAKENED = """
import socket, sys
sys.modules["ssl"] = None
import asyncio
from ipaddress import ip_address
from clawmates.gateway import resolve, tunnel
from clawmates.gateway.__main__ import main
from clawmates.gateway.decision import ALLOW
from clawmates.gateway.target import Target

def parse(text):
    host = text.rpartition(":")[0] or text
    return Target(host.strip("[]"), 443)

async def lookup(self, host):
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise resolve.LookupFailedError from None
    return tuple(dict.fromkeys(ip_address(where[0]) for *_, where in found))

tunnel.parse_target = parse
tunnel.decide_target = lambda target, listed: ALLOW
tunnel.decide_addresses = lambda addresses: ALLOW
resolve.SystemResolver.lookup = lookup
sys.exit(main(sys.argv[1:]))
"""
"""No allow-list, no strict spelling, no rule for addresses: what is left is a proxy."""


@dataclass(slots=True)
class Trial:
    """One gateway after the other, in the same world."""

    folder: Path
    names: Names
    capture: Capture

    @property
    def run(self) -> Run:
        """The runtime folder."""
        return Run(self.folder / "run")

    @asynccontextmanager
    async def gateway(self, hosts: Sequence[str], *command: str) -> AsyncIterator[None]:
        """A gateway process with one bot; the counts begin when it is up."""
        config = self.folder / "clawmates.toml"
        config.write_text(f'[platform]\nrun = "{self.run.root}"\n[gateway.limits]\nconnections = 512\n')
        line = (sys.executable, "-I", *command, "--config", str(config))
        process = await asyncio.create_subprocess_exec(*line, env={}, stdout=asyncio.subprocess.DEVNULL)
        try:
            await self._put(DoorSpec(bot="egress", uid_first=MATE_UID, uid_count=1, hosts=tuple(hosts), config=CONFIG))
            self.capture.clear()
            self.names.asked.clear()
            yield
        finally:
            process.kill()
            await process.wait()

    async def ask(self, targets: Sequence[str]) -> list[int]:
        """The status of each CONNECT; 0 where there was none in time."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(target: str) -> int:
            async with room:
                with suppress(OSError, ValueError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        return await self._connect(target)
                return 0

        return list(await asyncio.gather(*(one(target) for target in targets)))

    async def quiet(self) -> None:
        """Waits until no new connection has been begun for a while: a packet may be late."""
        seen = -1
        async with asyncio.timeout(WATCH_SECONDS):
            while seen != len(self.capture.connections()):
                seen = len(self.capture.connections())
                await asyncio.sleep(QUIET_SECONDS)

    async def _connect(self, target: str) -> int:
        sock = socket.socket(socket.AF_UNIX)
        os.seteuid(MATE_UID)
        try:
            sock.connect(str(self.run.doors / "egress" / "door.sock"))
        finally:
            os.seteuid(0)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        try:
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: door\r\n\r\n".encode())
            return int((await reader.readline()).split()[1])
        except IndexError:
            return 0
        finally:
            writer.transport.abort()

    async def _put(self, spec: DoorSpec) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(GatewayError, HttpError):
                    await GatewayClient(self.run.gateway).put(spec)
                    return
                await asyncio.sleep(0.05)


CONFIG = MateConfig(
    revision=1,
    channel=ChannelKind.TELEGRAM,
    channel_hosts=(),
    provider="openai",
    provider_hosts=(),
    model="none",
    context_tokens=1,
    output_tokens=1,
)


async def egress(folder: Path) -> dict[str, int]:
    """All figures; the first three are the claim, the weakened ones are its control."""
    zone = bad_zone()
    capture, names = Capture(), Names(zone)
    capture.open()
    await names.open()
    trial = Trial(folder, names, capture)
    hosts = listed(zone)
    bad = tuple(f"{host}:443" for host in hosts if host != "good.listed.example")
    targets = (*SPELLINGS, *UNLISTED, *bad)
    async with trial.gateway(hosts, "-m", "clawmates.gateway"):
        answers = await trial.ask(targets)
        await trial.quiet()
        figures = {
            "targets": len(set(targets)),
            "connections": capture.connections().total(),
            "unlisted_lookups": sum(count for name, count in names.asked.items() if name not in hosts),
            "listed_lookups": sum(count for name, count in names.asked.items() if name in hosts),
            "lookups_of_a_name_max": max(names.asked.values(), default=0),
            "opened": sum(status == 200 for status in answers),
            "unanswered": sum(status == 0 for status in answers),
        }
    figures["rebinding_connections"] = await _rebinding(trial, hosts)
    async with trial.gateway(hosts, "-c", WEAKENED):
        asking = asyncio.create_task(trial.ask(targets))
        await asyncio.wait([asking], timeout=WATCH_SECONDS)
        asking.cancel()
        figures["weakened_connections"] = capture.connections().total()
        figures["weakened_unlisted_lookups"] = sum(count for name, count in names.asked.items() if name not in hosts)
    figures["packets"] = capture.packets
    return figures


async def _rebinding(trial: Trial, hosts: Sequence[str]) -> int:
    """Connections to anywhere but the address that was checked, of a name that changes as soon as it was asked for."""
    async with trial.gateway((*hosts, REBINDING), "-m", "clawmates.gateway"):
        trial.names.zone = Zone({REBINDING: (GOOD_4,)})
        asking = asyncio.create_task(trial.ask([f"{REBINDING}:443"]))
        async with asyncio.timeout(WATCH_SECONDS):
            while not trial.capture.connections():
                trial.names.zone = (
                    Zone({REBINDING: (IPv4Address("127.0.0.1"),)}) if trial.names.asked else trial.names.zone
                )
                await asyncio.sleep(0)
        await trial.quiet()
        asking.cancel()
        elsewhere = sum(
            count for one, count in trial.capture.connections().items() if (one.address, one.port) != (GOOD_4, 443)
        )
        again = trial.names.asked[REBINDING] - 1
    trial.names.zone = bad_zone()
    return elsewhere + again


def sound(figures: dict[str, int]) -> bool:
    """Whether the claim held and the control would have shown it broken."""
    held = not any(figures[name] for name in ("connections", "unlisted_lookups", "rebinding_connections", "opened"))
    counted = figures["weakened_connections"] > 0 and figures["weakened_unlisted_lookups"] > 0
    return held and counted and figures["targets"] >= LEAST_TARGETS and figures["lookups_of_a_name_max"] <= 1


def main() -> int:
    """Enters the world, tries, prints, and writes flat JSON where asked."""
    parser = argparse.ArgumentParser(prog="make egress", description=__doc__)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="clawmates-egress-"))
    folder.chmod(0o755)
    try:
        enter(folder)
        figures = asyncio.run(egress(folder))
    except NoWorldError as problem:
        sys.stderr.write(f"error: {problem}\n")
        return MISSING
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write("".join(f"  {name:<26} {value:>6}\n" for name, value in figures.items()))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    return 0 if sound(figures) else BROKEN


if __name__ == "__main__":
    sys.exit(main())
