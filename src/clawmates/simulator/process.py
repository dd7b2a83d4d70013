"""The simulator as a process: a listener a service, one control socket, clean ends."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base import notify
from clawmates.base.files import write_atomic
from clawmates.base.hardening import quiet_loop
from clawmates.base.http.server import serve
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Authority
from clawmates.simulator.admin import Admin
from clawmates.simulator.model import Ports, Service
from clawmates.simulator.web import nursery
from clawmates.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.base.clock import Clock
    from clawmates.base.http.server import Peer


@dataclass(frozen=True, slots=True)
class Folder:
    """What the simulator leaves for others to find."""

    root: Path

    @property
    def authority(self) -> Path:
        """The authority that a client must trust, PEM."""
        return self.root / "ca.pem"

    @property
    def ports(self) -> Path:
        """:class:`~clawmates.simulator.model.Ports` as JSON."""
        return self.root / "ports.json"

    @property
    def admin(self) -> Path:
        """The control socket."""
        return self.root / "admin.sock"


@asynccontextmanager
async def running(folder: Folder, ports: Ports, clock: Clock) -> AsyncIterator[World]:
    """All stand-ins and the control socket, accepting. Raises ``OSError`` for a port or folder that cannot be used."""
    folder.root.mkdir(parents=True, exist_ok=True)
    authority = Authority.create("ClawMates simulator", clock.now())
    async with nursery() as tasks:
        world = World.create(ports=ports, authority=authority, tasks=tasks, clock=clock)
        try:
            await world.start()
            admin = Admin(world)

            def allowed(peer: Peer) -> bool:
                return peer.uid in {0, os.geteuid()}

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.start(serve(reader, writer, handle=admin.handle, allowed=allowed))

            with suppress(FileNotFoundError):
                folder.admin.unlink()
            control = await asyncio.start_unix_server(accept, path=folder.admin)
            folder.admin.chmod(0o600)
            try:
                write_atomic(folder.authority, authority.pair.certificate, mode=0o644, sync=False)
                write_atomic(folder.ports, encode_json(_taken(world)), mode=0o644, sync=False)
                yield world
            finally:
                control.close()
                folder.admin.unlink(missing_ok=True)
                folder.ports.unlink(missing_ok=True)
        finally:
            world.close()


async def run(folder: Folder, ports: Ports, clock: Clock) -> None:
    """Serves until SIGTERM or SIGINT. Raises ``OSError`` like :func:`running`."""
    loop = asyncio.get_running_loop()
    quiet_loop(loop)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(folder, ports, clock):
        notify.ready()
        await stop.wait()
        notify.tell("STOPPING=1")


def _taken(world: World) -> Ports:
    ports = {service: listener.port for service, listener in world.listeners.items()}
    return Ports(
        telegram=ports[Service.TELEGRAM],
        openai=ports[Service.OPENAI],
        anthropic=ports[Service.ANTHROPIC],
        google=ports[Service.GOOGLE],
        ollama=ports[Service.OLLAMA],
    )
