"""The vault as its own process, with a state folder and an authority of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from tests.support import releases
from tests.support.forked import SHORT, Process, born

from clawmates.base.http.client import Connection
from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.settings import load
from clawmates.base.tls import client_context
from clawmates.base.x509 import Authority, Names
from clawmates.vault import process as program
from clawmates.vault.confine import Confinement
from clawmates.wire.names import ItemName
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient, VaultError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

KEY, TOKEN, PROMPT = ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN, ItemName.PROMPT
SECRETS = {KEY: "sk-canary-7d1e0bb4c2", TOKEN: "424242:canary-AAf9", PROMPT: "canary: speak like a pirate, ünïcode"}
HOSTS = {KEY: ("api.openai.com",), TOKEN: ("api.telegram.org",)}
VAULT_NAMES = Names(dns=("vault", "localhost"), uri=("clawmates://local/vault/vault",))


@dataclass
class House:
    """A state folder with its own authority."""

    root: Path
    authority: Authority

    @property
    def state(self) -> State:
        return State(self.root / "state")

    def certify(self, folder: str, names: Names, authority: Authority | None = None) -> tuple[Path, Path]:
        pair = (authority or self.authority).issue(names, datetime.now(UTC))
        paths = self.state.identity(folder)
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        paths[0].write_bytes(pair.certificate)
        paths[1].touch(0o600)
        paths[1].write_bytes(pair.key)
        return paths

    def configure(self, listen: str = "127.0.0.1:0", region: str = "local", *, more: str = "") -> None:
        """``more`` stands in ``[vault]``."""
        text = f'[platform]\nregion = "{region}"\nrun = "{self.root}/run"\n[vault]\nlisten = "{listen}"\n{more}'
        self.state.config.write_text(f'{text}[node]\nrelease_key = "{releases.PUBLIC}"\n')

    def tls(self, identity: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        return client_context(authority=self.state.authority, identity=identity)


@dataclass
class Serving:
    """A vault that serves."""

    house: House
    port: int

    def client(self, name: str = "", folder: str = "") -> VaultClient:
        identity = None
        if name:
            folder = folder or name.rpartition("/")[2]
            identity = self.house.certify(folder, Names(uri=(f"clawmates://{name}",)))
        return VaultClient("127.0.0.1", self.port, self.house.tls(identity))

    @property
    def cli(self) -> VaultClient:
        return self.client("local/control/cli")

    @property
    def node(self) -> VaultClient:
        return self.client("local/node/node-1")

    @property
    def mate(self) -> VaultClient:
        return self.client()

    async def connect(self) -> Connection:
        return await Connection.tcp("127.0.0.1", self.port, tls=self.house.tls(), server_name="vault")

    async def fill(self, bot: str = "b1", tenant: str = "acme") -> None:
        cli = self.cli
        await cli.assign(bot, Assignment(tenant=tenant, node="node-1"))
        intake = await cli.intake_key()
        for name, text in SECRETS.items():
            hosts = HOSTS.get(name, ())
            binding = Binding(
                key_id=intake.key_id, region="local", tenant=tenant, bot=bot, name=name, version=1, hosts=hosts
            )
            await cli.put(bot, name, 1, seal(intake.public, binding, Secret(text)))

    async def take(self, bot: str = "b1") -> Redemption:
        request = TicketRequest(bot=bot, generation=1, items=dict.fromkeys(SECRETS, 1))
        return Redemption(bot=bot, ticket=(await self.node.ticket(request)).ticket)


@dataclass
class Running(Serving):
    """A process that said it is ready."""

    process: Process

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return await finish(self.process)


@contextmanager
def furnished() -> Iterator[House]:
    """A house with an authority, the vault's certificate and a configuration; gone at the end."""
    # Not pytest's own folder: unix socket names have 107 characters at most.
    root = Path(tempfile.mkdtemp(prefix="cmv-"))
    house = House(root, Authority.create("test authority", datetime.now(UTC)))
    house.state.log.mkdir(parents=True)
    house.state.pki.mkdir()
    (house.root / "run" / "orders").mkdir(parents=True)
    house.state.authority.write_bytes(house.authority.pair.certificate)
    house.certify("vault", VAULT_NAMES)
    house.configure()
    releases.publish(house.state.release)
    try:
        yield house
    finally:
        shutil.rmtree(root)


async def launch(
    house: House,
    *,
    weaken: str = "",
    before: tuple[str, ...] = (),
    notify: str = "",
    fds: tuple[int, ...] = (),
    anew: bool = False,
) -> Process:
    """Starts the process; ``weaken`` is a line of Python that seeds a defect into it first.

    ``anew``: from nothing, as a supervisor starts it; so does what a command comes ``before``.
    """
    config = str(house.state.config)
    run = f"import sys; {weaken}\nfrom clawmates.vault.__main__ import main; sys.exit(main(['--config', {config!r}]))"
    environment = {"NOTIFY_SOCKET": notify, "PATH": os.environ["PATH"]}
    counted = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    if not (before or anew or counted):
        return await born(*SHORT, run=run, environment=environment)
    command = ("-c", run) if weaken else ("-m", "clawmates.vault", "--config", config)
    return await asyncio.create_subprocess_exec(
        *before,
        sys.executable,
        "-I",
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment | counted,
        pass_fds=fds,
    )


async def finish(process: Process, seconds: float = 60) -> tuple[int, str]:
    async with asyncio.timeout(seconds):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def running(
    house: House, *, weaken: str = "", before: tuple[str, ...] = (), fds: tuple[int, ...] = (), anew: bool = False
) -> AsyncIterator[Running]:
    """A vault until the end of the block; it must have said nothing but where it listens."""
    path = house.root / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(0)
        process = await launch(house, weaken=weaken, before=before, notify=str(path), fds=fds, anew=anew)
        try:
            told = await first_word(notify, process)
            assert told.startswith("READY=1\nSTATUS=127.0.0.1:"), told
            yield Running(house, int(told.rpartition(":")[2]), process)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                assert await finish(process) == (0, "")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def within(house: House) -> AsyncIterator[Serving]:
    """The same vault in this very process, over TLS as ever: for tests of those who call it, for it starts at once.

    Left out is what belongs to a process of its own: signals, confinement, the loop's silence.
    """
    ready = asyncio.get_running_loop().create_future()

    @contextmanager
    def no_signals(stop: asyncio.Event, _reload: object) -> Iterator[None]:
        ready.set_result(stop)
        yield

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with patch.multiple(
        program,
        signals=no_signals,
        inherited_sockets=lambda: [listening],
        confine=lambda _reach: Confinement.UNAVAILABLE,
        quiet_loop=lambda _loop: None,
    ):
        serving = asyncio.create_task(program._serve(load(house.state.config), house.state, memory_locked=False))
        await asyncio.wait((ready, serving), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    try:
        yield Serving(house, port)
    finally:
        ready.result().set()
        await serving


async def first_word(notify: socket.socket, process: Process, seconds: float = 60) -> str:
    """What the process says when it is ready, or what it said when it died."""
    loop = asyncio.get_running_loop()
    word = asyncio.ensure_future(loop.sock_recv(notify, 4096))
    death = asyncio.ensure_future(process.wait())
    await asyncio.wait((word, death), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    death.cancel()
    if word.done():
        return word.result().decode()
    word.cancel()
    return str(await finish(process)) if process.returncode is not None else "nothing"


async def refusal(call: Awaitable[object]) -> VaultRefusal:
    with pytest.raises(VaultError) as caught:
        await call
    return caught.value.refusal


async def raw(vault: Running, sent: bytes) -> bytes:
    """What comes back for these bytes over TLS, until the vault closes."""
    connection = await vault.connect()
    try:
        connection.writer.write(sent)
        async with asyncio.timeout(60):
            return await connection.reader.read()
    finally:
        await connection.close()
