"""The real process: started, driven by node's client, knocked at by mates, stopped and started again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http.client import Connection
from clawmates.base.paths import Run
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Authority, Names
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import DoorSpec, MateConfig, Refusal, TurnBegin, TurnEnd
from clawmates.wire.gateway_client import GatewayClient
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HOST = "api.telegram.org"
SECONDS = 60
MATE_UID = os.geteuid() or 4242


@dataclass
class Machine:
    """A state and a runtime folder, certificates, and the gateway when it runs."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    more: str = ""

    @property
    def run(self) -> Run:
        return Run(self.folder / "run")

    @property
    def client(self) -> GatewayClient:
        return GatewayClient(self.run.gateway)

    def configure(self) -> Path:
        names = "".join(f'"{host}" = "127.0.0.1:{port}"\n' for host, port in self.ports.items())
        text = f'[platform]\nrun = "{self.run.root}"\n{self.more}\n[gateway.unsafe_resolve]\n{names}'
        config = self.folder / "clawmates.toml"
        config.write_text(text)
        return config

    async def start(self) -> asyncio.subprocess.Process:
        """Returns once the process has said that it is ready."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        address = self.folder / "notify"
        address.unlink(missing_ok=True)
        notify.bind(str(address))
        process = await self.command(NOTIFY_SOCKET=str(address))
        async with asyncio.timeout(SECONDS):
            said = await asyncio.get_running_loop().sock_recv(notify, 1000)
        notify.close()
        assert said.startswith(b"READY=1")
        return process

    async def command(self, **environment: str) -> asyncio.subprocess.Process:
        line = (sys.executable, "-I", "-m", "clawmates.gateway", "--config", str(self.configure()))
        return await asyncio.create_subprocess_exec(*line, env=environment, stderr=asyncio.subprocess.PIPE)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await self.start()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def spec(self, bot: str = "bot-1", *, uid_first: int = MATE_UID, hosts: tuple[str, ...] = (HOST,)) -> DoorSpec:
        config = MateConfig(
            revision=1,
            channel=ChannelKind.TELEGRAM,
            channel_hosts=hosts,
            provider="openai",
            provider_hosts=(),
            model="m",
            context_tokens=1000,
            output_tokens=100,
        )
        return DoorSpec(bot=bot, uid_first=uid_first, uid_count=1, hosts=hosts, config=config)

    async def knock(self, bot: str = "bot-1") -> Connection:
        """As the kernel shows a mate: a peer with another user's uid."""
        sock, mine = socket.socket(socket.AF_UNIX), os.geteuid()
        try:
            if mine != MATE_UID:
                os.seteuid(MATE_UID)
            sock.connect(str(self.run.doors / bot / "door.sock"))
        except OSError:
            sock.close()
            raise
        finally:
            if mine != MATE_UID:
                os.seteuid(mine)
        return Connection.over(*await asyncio.open_unix_connection(sock=sock), "door")

    async def call(self, target: str, body: object) -> tuple[int, bytes]:
        mate = await self.knock()
        answer = await mate.request("POST", target, body=encode_json(body))
        content = await answer.read(1000)
        await mate.close()
        return answer.status, content

    @asynccontextmanager
    async def stand_in(self, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> AsyncIterator[list[str | None]]:
        """A TLS server that echoes; the list holds the TLS version of every connection that shook hands."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        context.maximum_version = newest
        seen: list[str | None] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("ssl_object").version())
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        self.ports[HOST] = server.sockets[0].getsockname()[1]
        try:
            yield seen
        finally:
            server.close()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "authority.pem"))


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="cm-"))
    folder.chmod(0o755)
    now = datetime.now(UTC)
    authority = Authority.create("stand-in", now)
    leaf = authority.issue(Names(dns=(HOST,)), now)
    (folder / "authority.pem").write_bytes(authority.pair.certificate)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    yield Machine(folder)
    shutil.rmtree(folder)


def loaded_into(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def descriptors_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_tls_13_passes_end_to_end(machine: Machine) -> None:
    async with machine.stand_in() as seen, machine.gateway():
        await machine.client.put(machine.spec())
        mate = await machine.knock()
        assert (await mate.request("CONNECT", f"{HOST}:443")).status == 200
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await loop.start_tls(mate.writer.transport, protocol, machine.trust(), server_hostname=HOST)
        assert transport is not None
        protocol.connection_made(transport)
        blob = os.urandom(300_000)
        transport.write(blob)
        assert await asyncio.wait_for(reader.readexactly(len(blob)), SECONDS) == blob
        assert seen == ["TLSv1.3"]
        status = await machine.client.status()
        flow = status.flows[0]
        assert (flow.bot, flow.host, flow.connections, status.doors[0].tunnels) == ("bot-1", HOST, 1, 1)
        assert min(flow.bytes_out, flow.bytes_in) > len(blob)
        transport.abort()


async def test_server_that_knows_only_tls_12_is_cut(machine: Machine) -> None:
    async with machine.stand_in(ssl.TLSVersion.TLSv1_2) as seen, machine.gateway():
        await machine.client.put(machine.spec())
        mate = await machine.knock()
        assert (await mate.request("CONNECT", f"{HOST}:443")).status == 200
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await mate.writer.start_tls(machine.trust(), server_hostname=HOST)
        assert seen == []
        assert (await machine.client.status()).doors[0].reasons == {Refusal.TLS_TOO_OLD: 1}
        await mate.close()


async def test_stranger_and_unlisted_host(machine: Machine) -> None:
    async with machine.gateway():
        await machine.client.put(machine.spec(uid_first=MATE_UID + 1))
        stranger = await machine.knock()
        assert await stranger.reader.read() == b""
        await stranger.close()
        await machine.client.put(machine.spec())
        mate = await machine.knock()
        refused = await mate.request("CONNECT", "evil.example:443")
        assert (refused.status, json.loads(await refused.read(100))["error"]["code"]) == (403, "host-not-listed")
        await mate.close()


async def test_restart_brings_the_door_back_in_the_same_folder(machine: Machine) -> None:
    async with machine.gateway() as first:
        await machine.client.put(machine.spec())
        folder = machine.run.doors / "bot-1"
        inode = folder.stat().st_ino
        before = (await machine.client.events(0, "")).instance
        await machine.call("/turn/end", TurnEnd(turn="1"))
        first.send_signal(signal.SIGKILL)
        await first.wait()
        with pytest.raises(ConnectionRefusedError):
            await machine.knock()
        async with machine.gateway() as second:
            assert not (folder / "door.sock").exists(), "stale until node puts the bot again"
            assert (await machine.client.events(0, before)).instance != before
            await machine.client.put(machine.spec())
            assert folder.stat().st_ino == inode
            assert (await machine.call("/turn/begin", TurnBegin(turn="1")))[1] == b'{"verdict":"go"}'
            await machine.call("/turn/end", TurnEnd(turn="1"))
            second.terminate()
            assert await asyncio.wait_for(second.wait(), SECONDS) == 0
            assert (await second.communicate())[1] == b""


async def test_no_tls_library_is_loaded_and_nothing_but_events_is_written(machine: Machine) -> None:
    async with machine.stand_in(), machine.gateway() as process:
        await machine.client.put(machine.spec())
        assert (await machine.call("/event", Event(code=Code.LIVE, username="my_bot")))[0] == 204
        assert (await machine.call("/turn/begin", TurnBegin(turn="canary-turn-id")))[0] == 200
        mate = await machine.knock()
        assert (await mate.request("CONNECT", "canary-host.example:443")).status == 403
        await mate.close()
        assert "libssl" not in loaded_into(process.pid)
        assert "libssl" in loaded_into(os.getpid()), "where it is loaded, it shows"
        written = b"".join(path.read_bytes() for path in machine.folder.rglob("*") if path.is_file())
        assert b'"code":"live"' in written
        assert b"canary" not in written


async def test_thousands_of_connections_leave_nothing_behind(machine: Machine) -> None:
    async with machine.gateway() as process:
        await machine.client.put(machine.spec())
        before = descriptors_of(process.pid)
        for number in range(2000):
            mate = await machine.knock()
            mate.writer.write((b"", b"C", b"nonsense\r\n\r\n")[number % 3])
            mate.writer.transport.abort()
        async with asyncio.timeout(SECONDS):
            while descriptors_of(process.pid) > before:
                await machine.client.status()
        assert (await machine.call("/turn/begin", TurnBegin(turn="1")))[0] == 200


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ("[gateway]\nunknown_key = 1", 78, b"unknown key"),
        ('[gateway]\nollama = "model.example:1"', 78, b"is not an IP address"),
        ("not toml", 78, b"not valid TOML"),
    ],
)
async def test_bad_configuration(machine: Machine, more: str, code: int, says: bytes) -> None:
    machine.more = more
    process = await machine.command()
    _, said = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == code
    assert says in said
    assert said.count(b"\n") == 1


async def test_second_gateway_and_unusable_folder(machine: Machine) -> None:
    async with machine.gateway():
        process = await machine.command()
        _, said = await asyncio.wait_for(process.communicate(), SECONDS)
        assert (process.returncode, said) == (1, b"gateway: another gateway already serves this runtime folder\n")
    shutil.rmtree(machine.run.root)
    machine.run.root.write_text("")
    process = await machine.command()
    _, said = await asyncio.wait_for(process.communicate(), SECONDS)
    assert (process.returncode, said) == (1, b"gateway: the runtime folder cannot be used: Not a directory\n")
