"""What the gateway costs, beside a plain relay in the same run, and how soon it is healed.

The floor is the shortest honest program that does the same copying: asyncio streams from a unix socket to TCP with
64 KiB buffers, in a process of its own, which checks nothing. Source and sink are the same for both.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from clawmates.base.paths import Run
from clawmates.base.x509 import Authority, Names
from clawmates.simulator.model import Service
from clawmates.trials.throwaway import Bot, TrialError, throwaway
from clawmates.wire.door import DoorSpec, MateConfig
from clawmates.wire.gateway_client import GatewayClient, GatewayError
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "api.telegram.org"
MATE_UID = os.geteuid() or 4242
MANY = 50
ROUNDS = 5
WARM_SECONDS, MEASURED_SECONDS = 0.2, 0.8
CONNECTS = 100
HEALED_BOTS = 5
HEAL_SECONDS = 30.0
START_SECONDS = 20.0
PIECE = 256 * 1024

PLAIN = """
import asyncio, os, sys

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def serve(reader, writer):
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]), limit=65536)
    await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_unix_server(serve, sys.argv[1], limit=65536)
    os.chmod(sys.argv[1], 0o666)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Hellos:
    """What both ends of a real TLS 1.3 handshake say first."""

    client: bytes
    server: bytes

    @classmethod
    def make(cls, folder: Path) -> Hellos:
        """From the standard library's TLS, without a socket."""
        leaf = Authority.create("bench", datetime.now(UTC)).issue(Names(dns=(HOST,)), datetime.now(UTC))
        (folder / "cert.pem").write_bytes(leaf.certificate)
        (folder / "key.pem").write_bytes(leaf.key)
        to_server, to_client, spare = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(spare, to_server, server_hostname=HOST)
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        first = to_server.read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        heard = ssl.MemoryBIO()
        heard.write(first)
        with suppress(ssl.SSLWantReadError):
            context.wrap_bio(heard, to_client, server_side=True).do_handshake()
        return cls(first, to_client.read())


@dataclass(slots=True)
class Sink:
    """The far side: answers a hello, then swallows and counts. A thread of its own."""

    hellos: Hellos
    bytes_in: int = 0
    _stop: bool = False
    _server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=256))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.getsockname()[1])

    def run(self) -> None:
        """Until :meth:`stop`."""
        selector, buffer = selectors.DefaultSelector(), bytearray(PIECE)
        greeted: dict[socket.socket, int] = {}
        self._server.settimeout(0)
        selector.register(self._server, selectors.EVENT_READ)
        while not self._stop:
            for key, _ in selector.select(0.05):
                sock = key.fileobj
                if sock is self._server:
                    caller, _ = self._server.accept()
                    caller.settimeout(0)
                    greeted[caller] = 0
                    selector.register(caller, selectors.EVENT_READ)
                elif isinstance(sock, socket.socket):
                    self._take(sock, buffer, greeted, selector)
        for sock in greeted:
            sock.close()
        self._server.close()
        selector.close()

    def stop(self) -> None:
        """Ends the thread soon."""
        self._stop = True

    def _take(
        self,
        sock: socket.socket,
        buffer: bytearray,
        greeted: dict[socket.socket, int],
        selector: selectors.BaseSelector,
    ) -> None:
        try:
            size = sock.recv_into(buffer)
        except OSError:
            size = 0
        if not size:
            selector.unregister(sock)
            del greeted[sock]
            sock.close()
            return
        self.bytes_in += size
        before, whole = greeted[sock], len(self.hellos.client)
        greeted[sock] = before + size
        if before < whole <= before + size:
            sock.sendall(self.hellos.server)


@dataclass(frozen=True, slots=True)
class Way:
    """One of the two relays, as its clients see it: how connection ``number`` is opened."""

    dial: Callable[[int], socket.socket]
    connect: bool
    """Whether it wants to be asked with CONNECT."""


def open_one(way: Way, hellos: Hellos, number: int) -> socket.socket:
    """A connection over which both hellos have passed."""
    sock = way.dial(number)
    if way.connect:
        sock.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: door\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096) or _hung_up()
        if not head.startswith(b"HTTP/1.1 200"):
            raise TrialError("the gateway refused the bench's own host")
    sock.sendall(hellos.client)
    left = len(hellos.server)
    while left:
        left -= len(sock.recv(left) or _hung_up())
    return sock


def _hung_up() -> bytes:
    raise TrialError("a relay closed the connection")


def throughput(way: Way, sink: Sink, connections: int) -> float:
    """Bytes a second that arrive, once it flows."""
    socks = [open_one(way, sink.hellos, number) for number in range(connections)]
    blob, selector = bytes(PIECE), selectors.DefaultSelector()
    for sock in socks:
        sock.settimeout(0)
        selector.register(sock, selectors.EVENT_WRITE)
    try:
        begun = time.monotonic()
        _pour(selector, blob, begun + WARM_SECONDS)
        before, since = sink.bytes_in, time.monotonic()
        _pour(selector, blob, since + MEASURED_SECONDS)
        return (sink.bytes_in - before) / (time.monotonic() - since)
    finally:
        selector.close()
        for sock in socks:
            sock.close()


def _pour(selector: selectors.BaseSelector, blob: bytes, until: float) -> None:
    while time.monotonic() < until:
        for key, _ in selector.select(0.05):
            if isinstance(key.fileobj, socket.socket):
                with suppress(BlockingIOError):
                    key.fileobj.send(blob)


def connect_ms(way: Way, hellos: Hellos, number: int) -> float:
    """Milliseconds from the knock to the last byte of the server's first flight."""
    begun = time.perf_counter()
    open_one(way, hellos, number).close()
    return (time.perf_counter() - begun) * 1000


def connects(gateway: Way, plain: Way, hellos: Hellos) -> tuple[float, float]:
    """The 95th percentile of both ways, which take turns; the median of several such rounds is what one can rely on."""
    taken = [(connect_ms(gateway, hellos, number % MANY), connect_ms(plain, hellos, 0)) for number in range(CONNECTS)]
    ours, floor = (quantiles([one[side] for one in taken], n=20)[-1] for side in (0, 1))
    return ours, floor


def knock(path: Path) -> socket.socket:
    """A connection by a process of a mate's uid."""
    sock, mine = socket.socket(socket.AF_UNIX), os.geteuid()
    try:
        if mine != MATE_UID:
            os.seteuid(MATE_UID)
        sock.connect(str(path))
    finally:
        if mine != MATE_UID:
            os.seteuid(mine)
    sock.settimeout(START_SECONDS)
    return sock


@asynccontextmanager
async def relays(folder: Path, port: int) -> AsyncIterator[tuple[Way, Way]]:
    """The gateway with a door for each of fifty bots, and the plain relay: both real processes."""
    run = Run(folder / "run")
    config = folder / "clawmates.toml"
    config.write_text(
        f'[platform]\nrun = "{run.root}"\n'
        "[gateway.limits]\nbytes_per_second = 0\n"  # a limit of one bot's would be what is measured
        f'[gateway.unsafe_resolve]\n"{HOST}" = "127.0.0.1:{port}"\n'
    )
    bare = folder / "bare.sock"
    lines = (
        ("-m", "clawmates.gateway", "--config", str(config)),
        ("-c", PLAIN, str(bare), str(port)),
    )
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-I", *line, env={}) for line in lines]
    try:
        async with asyncio.timeout(START_SECONDS):
            await _until(lambda: run.gateway.exists() and bare.exists())
            for number in range(MANY):
                await _put(run, f"bot-{number}")
        yield (
            Way(lambda number: knock(run.doors / f"bot-{number}" / "door.sock"), connect=True),
            Way(lambda _: knock(bare), connect=False),
        )
    finally:
        for process in processes:
            process.kill()
            await process.wait()


async def _until(there: Callable[[], bool]) -> None:
    while not there():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)


async def _put(run: Run, bot: str) -> None:
    config = MateConfig(
        revision=1,
        channel=ChannelKind.TELEGRAM,
        channel_hosts=(HOST,),
        provider="none",
        provider_hosts=(),
        model="none",
        context_tokens=1,
        output_tokens=1,
    )
    while True:
        with suppress(GatewayError):
            await GatewayClient(run.gateway).put(
                DoorSpec(bot=bot, uid_first=MATE_UID, uid_count=1, hosts=(HOST,), config=config)
            )
            return
        await asyncio.sleep(0.02)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="clawmates-bench-"))
    folder.chmod(0o755)
    return folder


async def relay_figures() -> dict[str, float]:
    """Throughput at 1 and 50 connections, and the time to connect; the two relays take turns."""
    folder = _folder()
    sink = Sink(Hellos.make(folder))
    swallowing = threading.Thread(target=sink.run)
    swallowing.start()
    figures: dict[str, float] = {}
    try:
        async with relays(folder, sink.port) as (gateway, plain):
            for connections, name in ((1, ""), (MANY, f"_{MANY}")):
                pairs = [
                    (throughput(gateway, sink, connections), throughput(plain, sink, connections))
                    for _ in range(ROUNDS)
                ]
                ours, floor = (median(one[side] for one in pairs) for side in (0, 1))
                figures[f"gateway_ratio{name}"] = ours / floor
                figures[f"gateway_mib_s{name}"] = ours / 2**20
                figures[f"floor_relay_mib_s{name}"] = floor / 2**20
            rounds = [connects(gateway, plain, sink.hellos) for _ in range(ROUNDS)]
            figures["connect_ms_p95"] = median(ours - floor for ours, floor in rounds)
            figures["floor_connect_ms_p95"] = median(floor for _, floor in rounds)
    finally:
        sink.stop()
        swallowing.join()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


async def heal_figures() -> dict[str, float]:
    """Seconds from the gateway's death (SIGKILL) until the last of five mates polls its messenger again."""
    async with throwaway() as trial:
        crowd = [Bot.invent(f"heal-{number}", ChannelKind.TELEGRAM) for number in range(HEALED_BOTS)]
        await trial.add(crowd)
        await trial.until_live(*(bot.name for bot in crowd))
        last = (await trial.simulator.status()).last_telegram
        begun = time.monotonic()
        os.kill(trial.platform.supervisor.pid("gateway"), signal.SIGKILL)
        back = []
        for bot in crowd:
            (call, *_rest) = await trial.simulator.wait_call(
                Service.TELEGRAM, "getUpdates", caller=bot.username, after=last, timeout=HEAL_SECONDS
            )
            back.append(call.received - begun)
    return {"gateway_heal_s": max(back)}


async def figures() -> dict[str, float]:
    """All of the gateway's figures, by flat keys."""
    return {**await relay_figures(), **await heal_figures()}


if __name__ == "__main__":
    for key, value in asyncio.run(figures()).items():
        sys.stdout.write(f"{key:<24} {value:.3f}\n")
