"""The ways out of a throw-away platform, each with a server at its end that can put on guises."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.shape import encode_json
from clawmates.proofs.net.packets import End
from clawmates.proofs.net.sockets import inet, inodes
from clawmates.proofs.world import Guise, Reaction
from clawmates.selfhost.install import to_toml
from clawmates.trials.guises import Masked, careless

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


CALL_SECONDS = 300.0
"""Until every guise was met: mates that are started anew for each take their time on a machine with other work."""
CLI_AT_ONCE = 2
LOOPBACK = "127.0.0.1"

Trigger = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class MaskedHop:
    """``detour`` leads the client to the masked server while it runs; ``provoke`` makes it call, again and again."""

    name: str
    guises: tuple[Guise, ...]
    masked: Masked
    provoke: Trigger
    detour: Callable[[], Awaitable[None]]
    back: Callable[[], Awaitable[None]]

    async def careless(self) -> Mapping[Guise, Reaction]:
        """See :class:`~clawmates.proofs.world.Hop`."""
        return await careless(self.masked, self.guises)

    async def call(self) -> Mapping[Guise, Reaction]:
        """See :class:`~clawmates.proofs.world.Hop`."""
        self.masked.begin(self.guises)
        await self.detour()
        provoking = asyncio.create_task(self._provoke())
        try:
            return await self.masked.done(CALL_SECONDS)
        finally:
            provoking.cancel()
            with suppress(asyncio.CancelledError):
                await provoking
            self.masked.end()
            await self.back()

    async def _provoke(self) -> None:
        while self.masked.busy:
            await self.provoke()


@dataclass(slots=True)
class Switchboard:
    """Where node and gateway find the vault while hops are tried: a mask for one of them, the real vault else."""

    state: State
    ports: Path
    vault: int
    """The real vault's port."""
    pids: Callable[[], Awaitable[Mapping[str, int]]]
    masks: Mapping[str, Masked]
    """By process."""
    _listener: socket.socket | None = None
    _accepting: asyncio.Task[None] | None = None
    _forwards: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """From now on the platform looks for its vault here."""
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, 0))
            self._listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            self._accepting = asyncio.create_task(self._accept(self._listener))
        self._say(self._listener.getsockname()[1])

    async def close(self) -> None:
        """From now on it finds the vault where it is."""
        self._say(self.vault)
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting, *self._forwards], timeout=0)
        for task in self._forwards:
            task.cancel()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _say(self, port: int) -> None:
        write_atomic(self.ports, encode_json({"vault": port}), mode=0o644, sync=False)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, peer = await loop.sock_accept(listener)
            mask = await self._mask(End(IPv4Address(peer[0]), peer[1]))
            if mask is not None:
                mask.take(sock)
            else:
                task = loop.create_task(self._forward(sock))
                self._forwards.add(task)
                task.add_done_callback(self._forwards.discard)

    async def _mask(self, peer: End) -> Masked | None:
        """The mask that is waiting for the process at the other end."""
        for name, pid in (await self.pids()).items():
            mask = self.masks.get(name)
            if mask is None or not mask.busy:
                continue
            with suppress(OSError):
                held = inodes(pid)
                if any(one.local == peer and one.inode in held for one in inet(pid)):
                    return mask
        return None

    async def _forward(self, sock: socket.socket) -> None:
        with suppress(OSError):
            here = await asyncio.open_connection(sock=sock)
            try:
                there = await asyncio.open_connection(LOOPBACK, self.vault)
                try:
                    await asyncio.gather(_copy(here[0], there[1]), _copy(there[0], here[1]))
                finally:
                    there[1].transport.abort()
            finally:
                here[1].transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


@dataclass(slots=True)
class CommandLine:
    """``clawmates vault status`` as a process of its own, with a state folder that names the masked server."""

    state: State
    folder: Path
    masked: Masked

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Serves while the block runs."""
        listener = socket.create_server((LOOPBACK, 0))
        port = listener.getsockname()[1]
        self.folder.mkdir(exist_ok=True)
        (self.folder / "pki").symlink_to(self.state.pki)
        settings = {"vault": {"listen": f"{LOOPBACK}:{port}"}, "platform": {"run": str(self.folder / "run")}}
        write_atomic(self.folder / "clawmates.toml", to_toml(settings).encode(), mode=0o644)
        accepting = asyncio.create_task(self.masked.accept(listener))
        try:
            yield
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])

    async def provoke(self) -> None:
        """A few at once; none of them gets what it asks for."""
        await asyncio.gather(*(self._run() for _ in range(CLI_AT_ONCE)))

    async def _run(self) -> None:
        command = (sys.executable, "-I", "-m", "clawmates.cli.main", "vault", "status", "--state", str(self.folder))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
