from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.base.clock import SystemClock
from clawmates.base.http.client import Connection
from clawmates.base.paths import State
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import Platform, Settings
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Authority, Names
from clawmates.gateway.dial import TcpDialler, UnreachableError
from clawmates.gateway.resolve import Endpoint, FakeResolver
from clawmates.gateway.service import Gateway
from clawmates.wire.door import DoorSpec, MateConfig
from clawmates.wire.gateway_client import GatewayClient
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from clawmates.wire.door import Refusal

HOST = "api.telegram.org"


@dataclass
class ManualClock:
    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Hellos:
    """Real handshakes of the standard library's TLS, without a socket."""

    folder: Path

    def client(
        self,
        host: str = HOST,
        *,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = bool(host)
        context.load_verify_locations(cafile=self.folder / "authority.pem")
        context.minimum_version, context.maximum_version = oldest, newest
        return self._start(context, host, server=False)

    def server(
        self, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        return self._start(self.server_context(newest=newest, oldest=oldest), "", server=True)

    def server_context(
        self, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        context.minimum_version, context.maximum_version = oldest, newest
        return context

    def client_hello(
        self,
        host: str = HOST,
        *,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> bytes:
        return self.client(host, oldest=oldest, newest=newest)[2].read()

    def server_hello(
        self, client_hello: bytes, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, curve: str = ""
    ) -> bytes:
        """The server's answer; with a curve the client did not guess, that is a HelloRetryRequest."""
        context = self.server_context(newest=newest)
        if curve:
            context.set_ecdh_curve(curve)
        server, incoming, outgoing = self._start(context, "", server=True)
        incoming.write(client_hello)
        with suppress(ssl.SSLError):
            server.do_handshake()
        return outgoing.read()

    def _start(
        self, context: ssl.SSLContext, host: str, *, server: bool
    ) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=host or None)
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
        return end, incoming, outgoing


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def hellos(tmp_path_factory: pytest.TempPathFactory) -> Hellos:
    folder = tmp_path_factory.mktemp("pki")
    now = datetime.now(UTC)
    authority = Authority.create("stand-in", now)
    leaf = authority.issue(Names(dns=(HOST, "vault", "localhost")), now)
    (folder / "authority.pem").write_bytes(authority.pair.certificate)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    return Hellos(folder)


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """Short, for unix sockets have short names; open to all users, for mates are others."""
    folder = Path(tempfile.mkdtemp(prefix="cm-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mate_uid() -> int:
    """A uid that this test may knock as; root never is a mate."""
    return os.geteuid() or 4242


@dataclass
class ToStandIn:
    """Goes to the stand-in whatever the address, and remembers what it was asked for."""

    port: int = 0
    dialled: list[Endpoint] = field(default_factory=list)

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        self.dialled.append(endpoint)
        if not self.port:
            raise UnreachableError
        return await TcpDialler().dial(Endpoint((IPv4Address("127.0.0.1"),), self.port))


@dataclass
class House:
    """A gateway in this very process, with the world outside replaced."""

    gateway: Gateway
    resolver: FakeResolver
    dialler: ToStandIn
    stop: asyncio.Event
    task: asyncio.Task[None]
    uid: int

    @property
    def client(self) -> GatewayClient:
        return GatewayClient(self.gateway.settings.run.gateway)

    @property
    def doors(self) -> Path:
        return self.gateway.settings.run.doors

    def spec(self, bot: str = "bot-1", hosts: tuple[str, ...] = (HOST,), revision: int = 1, **more: Any) -> DoorSpec:
        config = MateConfig(
            revision=revision,
            channel=ChannelKind.TELEGRAM,
            channel_hosts=hosts,
            provider="openai",
            provider_hosts=(),
            model="m",
            context_tokens=1000,
            output_tokens=100,
        )
        ids = {"uid_first": self.uid, "uid_count": 1} | more
        return DoorSpec(bot=bot, hosts=hosts, config=config, **ids)

    async def knock(self, bot: str = "bot-1", uid: int | None = None) -> Connection:
        """A connection to the bot's door by a process of that uid, as a mate's is."""
        sock = socket.socket(socket.AF_UNIX)
        mine = os.geteuid()
        try:
            if uid is None:
                uid = self.uid
            if uid != mine:
                os.seteuid(uid)
            sock.connect(str(self.doors / bot / "door.sock"))
        except BaseException:
            sock.close()
            raise
        finally:
            if os.geteuid() != mine:
                os.seteuid(mine)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        return Connection.over(reader, writer, "door")

    async def call(self, method: str, target: str, body: object = None, bot: str = "bot-1") -> tuple[int, bytes]:
        mate = await self.knock(bot)
        try:
            answer = await mate.request(method, target, body=b"" if body is None else encode_json(body))
            return answer.status, await answer.read(4 << 20)
        finally:
            await mate.close()

    async def refusals(self, bot: str = "bot-1") -> dict[Refusal, int]:
        status = await self.client.status()
        return dict(next(door for door in status.doors if door.bot == bot).reasons)

    async def tunnel(self, mate: Connection, target: str = f"{HOST}:443") -> tuple[int, str]:
        """CONNECT; the status, and the refusal's code if it is one."""
        answer = await mate.request("CONNECT", target)
        if answer.status == 200:
            return 200, ""
        return answer.status, json.loads(await answer.read(1000))["error"]["code"]


@pytest.fixture
async def house(run_folder: Path, mate_uid: int, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """``indirect`` parameters replace settings of ``[gateway]``."""
    settings = Settings(
        platform=Platform(run=str(run_folder / "run")), gateway=getattr(request, "param", GatewaySettings())
    )
    resolver, dialler, stop = FakeResolver({HOST: (IPv4Address("149.154.167.220"),)}), ToStandIn(), asyncio.Event()
    gateway = Gateway(
        settings, State(run_folder / "state"), SystemClock(), resolver=resolver, dialler=dialler, drain_seconds=0.05
    )
    task = asyncio.create_task(gateway.run(stop))
    await asyncio.wait_for(gateway.serving.wait(), 5)
    yield House(gateway, resolver, dialler, stop, task, mate_uid)
    stop.set()
    await asyncio.wait_for(task, 10)
