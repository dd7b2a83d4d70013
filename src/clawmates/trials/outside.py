"""The world at the other end of a cable: stand-ins at public addresses, a name server, and a mask for each."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.x509 import Authority, Names
from clawmates.proofs.net.packets import End
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Service
from clawmates.trials.cable import Cable
from clawmates.trials.guises import Masked, Wardrobe
from clawmates.trials.names import Zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack


PUBLIC = tuple(service for service in Service if service.encrypted)
TLS_PORT, DOT_PORT = 443, 853
DNS_NAME, DNS_ADDRESS = "dns.example", IPv4Address("11.0.0.53")
ELSEWHERE = IPv4Address("11.9.9.9")
"""Where nobody of the platform has any business."""
SERVICES: Mapping[Service, IPv4Address] = {
    service: IPv4Address(f"11.0.0.{10 + number}") for number, service in enumerate(PUBLIC)
}
MASKS: Mapping[Service, IPv4Address] = {
    service: IPv4Address(f"11.0.1.{10 + number}") for number, service in enumerate(PUBLIC)
}


class NoOutsideError(Exception):
    """The stand-ins do not start."""


@dataclass(frozen=True, slots=True)
class _StandIns:
    """A simulator, as the supervisor sees it."""

    name: str
    line: tuple[str, ...]
    descriptors: tuple[int, ...] = ()

    def command(self) -> list[str]:
        """As it was put together."""
        return list(self.line)


@dataclass(slots=True)
class Outside:
    """All stand-ins. Open it before the platform, whose settings name what is here."""

    cable: Cable
    folder: Path
    simulator: Simulator
    local: Simulator
    """The stand-in for a model on the platform's own loopback."""
    ollama: int
    zone: Zone
    dns: Masked
    masks: dict[Service, Masked]
    authority: Authority
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, dict[str, object]]:
        """What a platform must be told of this world; names are looked up and addresses dialled as everywhere."""
        return {
            "gateway": {
                "resolver": f"{DNS_ADDRESS}:{DOT_PORT}#{DNS_NAME}",
                "unsafe_resolver_ca": str(self.folder / "names.pem"),
                "ollama": f"127.0.0.1:{self.ollama}",
            },
            "node": {"unsafe_extra_ca": str(self.folder / "roots.pem")},
        }

    @property
    def places(self) -> Mapping[End, str]:
        """Where each server of the world is."""
        return {End(SERVICES[one], TLS_PORT): one.host for one in PUBLIC} | {End(DNS_ADDRESS, DOT_PORT): DNS_NAME}

    def lead(self, service: Service, *, to_mask: bool) -> None:
        """Who asks for the service's name from now on is sent to its mask, or back to its stand-in."""
        where = MASKS if to_mask else SERVICES
        self.zone.addresses = {**self.zone.addresses, service.host: where[service]}

    async def close(self) -> None:
        """Stops listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def listen(self) -> None:
        """The name server and the masks begin to accept."""
        places = {DNS_ADDRESS: (DOT_PORT, self.dns)} | {MASKS[one]: (TLS_PORT, self.masks[one]) for one in PUBLIC}
        for address, (port, masked) in places.items():
            self._tasks.append(asyncio.create_task(masked.accept(self.cable.listen(str(address), port))))


async def open_outside(stack: AsyncExitStack, cable: Cable, root: Path) -> Outside:
    """Starts everything; ``stack`` ends it. Raises :class:`NoOutsideError`."""
    now = datetime.now(UTC)
    cable.add(str(DNS_ADDRESS), *map(str, (*SERVICES.values(), *MASKS.values())))
    world, local, supervised = root / "simulator", root / "ollama", root / "supervisor"
    for folder in (world, local, supervised):
        folder.mkdir()
    supervisor = Supervisor(supervised)
    stack.push_async_callback(supervisor.close)
    await supervisor.start(
        [
            _StandIns("world", tuple(cable.inside(*_simulator(world, *_addresses())))),
            _StandIns("ollama", tuple(_simulator(local))),
        ]
    )
    if not all(one.phase is Phase.READY for one in supervisor.running.values()):
        raise NoOutsideError(NoOutsideError.__doc__)
    authority, zone = Authority.create("the world", now), Zone({one.host: SERVICES[one] for one in PUBLIC})
    write_atomic(root / "names.pem", authority.pair.certificate, mode=0o644)
    write_atomic(root / "roots.pem", (world / "ca.pem").read_bytes() + authority.pair.certificate, mode=0o644)
    outside = Outside(
        cable=cable,
        folder=root,
        simulator=Simulator(world / "admin.sock"),
        local=Simulator(local / "admin.sock"),
        ollama=int(json.loads((local / "ports.json").read_bytes())["ollama"]),
        zone=zone,
        dns=Masked(Wardrobe.of(authority, Names(dns=(DNS_NAME,)), now), zone.serve),
        masks={one: Masked(Wardrobe.of(authority, Names(dns=(one.host,)), now)) for one in PUBLIC},
        authority=authority,
    )
    stack.push_async_callback(outside.close)
    outside.listen()
    return outside


def _simulator(folder: Path, *more: str) -> list[str]:
    line = [sys.executable, "-I", "-m", "clawmates.simulator", "--dir", str(folder)]
    return [*line, "--telegram-port", "0", "--openai-port", "0", *more]


def _addresses() -> list[str]:
    line = []
    for service, address in SERVICES.items():
        line += [f"--{service.value}-address", str(address), f"--{service.value}-port", str(TLS_PORT)]
    return line
