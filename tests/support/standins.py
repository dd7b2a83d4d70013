"""The stand-ins as a process, and a way to them without a gateway."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.base.http.client import Connection, HttpError
from clawmates.base.secret import Secret
from clawmates.base.tls import client_context
from clawmates.mate.credentials import Credentials
from clawmates.mate.door import OLLAMA_NAME, Door
from clawmates.mate.errors import DoorError
from clawmates.mate.web import Web
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Ports, Service
from clawmates.simulator.process import Folder, running
from clawmates.wire.codes import Code
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.names import ItemName
from clawmates.wire.vault import OpenItem, Release

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"
KEY = "sk-test-0123456789abcdef"
AI_HOSTS = tuple(service.host for service in Service if service.encrypted and service is not Service.TELEGRAM)


@dataclass(frozen=True)
class Command:
    folder: Path
    prefix: tuple[str, ...] = ()
    name: str = "simulator"
    descriptors: tuple[int, ...] = ()

    def command(self) -> list[str]:
        line = [*self.prefix, sys.executable, "-I", "-m", "clawmates.simulator", "--dir", str(self.folder)]
        return [*line, *(word for service in Service for word in (f"--{service.value}-port", "0"))]


@dataclass(frozen=True)
class StandIns:
    simulator: Simulator
    ports: dict[str, int]
    authority: Path
    doors: list[DirectDoor] = field(default_factory=list)

    def context(self) -> ssl.SSLContext:
        return client_context(authority=self.authority)

    def web(self) -> Web:
        self.doors.append(DirectDoor(ports=self.ports))
        return Web(self.doors[-1], self.context())


@asynccontextmanager
async def _asked(folder: Path) -> AsyncIterator[StandIns]:
    """Those that have left in a folder where they are."""
    there = StandIns(
        Simulator(folder / "admin.sock"), json.loads((folder / "ports.json").read_text()), folder / "ca.pem"
    )
    try:
        yield there
    finally:
        for connection in [one for door in there.doors for one in door.plain]:
            await connection.close()


@asynccontextmanager
async def stand_ins(*prefix: str) -> AsyncIterator[StandIns]:
    """``prefix`` is a command that runs them somewhere else."""
    with tempfile.TemporaryDirectory(prefix="cm-") as name:
        folder = Path(name)
        supervisor = Supervisor(folder)
        try:
            await supervisor.start([Command(folder, prefix)])
            assert supervisor.running["simulator"].phase is Phase.READY
            async with _asked(folder) as there:
                yield there
        finally:
            await supervisor.close()


@asynccontextmanager
async def stand_ins_within() -> AsyncIterator[StandIns]:
    """The same stand-ins on the same kinds of sockets in this very process: for who is not about their process."""
    with tempfile.TemporaryDirectory(prefix="cm-") as name:
        folder = Path(name)
        ports = Ports(telegram=0, openai=0, anthropic=0, google=0, ollama=0)
        async with running(Folder(folder), ports, SystemClock()), _asked(folder) as there:
            yield there


class DirectDoor(Door):
    """Tunnels straight to the stand-ins; turn calls are not for it."""

    def __init__(self, ports: dict[str, int]) -> None:
        super().__init__("/nowhere")
        self.direct = {service.host: ports[service.value] for service in Service if service.encrypted}
        self.ollama = ports["ollama"]
        self.plain: list[Connection] = []

    async def tunnel(self, host: str, tls: ssl.SSLContext) -> Connection:
        if host == OLLAMA_HOST:
            self.plain.append(await Connection.tcp("127.0.0.1", self.ollama, tls=None, server_name=OLLAMA_NAME))
            return self.plain[-1]
        if host not in self.direct:
            raise DoorError(Code.HOST_NOT_ALLOWED)
        try:
            return await asyncio.wait_for(
                Connection.tcp("127.0.0.1", self.direct[host], tls=tls, server_name=host), timeout=10
            )
        except (HttpError, TimeoutError):
            raise DoorError(Code.CHANNEL_UNREACHABLE) from None


def credentials(token: str = TOKEN, key: str = KEY) -> Credentials:
    held = Credentials()
    held.take(
        Release(
            items=(
                OpenItem(name=ItemName.CHANNEL_TOKEN, version=1, hosts=("api.telegram.org",), value=Secret(token)),
                OpenItem(name=ItemName.PROVIDER_KEY, version=1, hosts=AI_HOSTS, value=Secret(key)),
            )
        )
    )
    return held
