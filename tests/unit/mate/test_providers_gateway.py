"""A local model through the real gateway: the only plaintext there is, and only where it was listed."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.support.speeches import OLLAMA, Server

from clawmates.base.paths import Run
from clawmates.base.tls import client_context
from clawmates.mate.door import Door
from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author, Message, Text
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.ollama import Ollama
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.door import DoorSpec, MateConfig
from clawmates.wire.gateway_client import GatewayClient
from clawmates.wire.names import ChannelKind

SECONDS = 20
MATE_UID = os.geteuid() or 4242
PROMPT = Prompt(OLLAMA.model, "", (Message(Author.PERSON, (Text("hello"),)),), 50, None, 4096)


@asynccontextmanager
async def gateway(folder: Path, port: int) -> AsyncIterator[Run]:
    """The gateway as a process, once it has said that it is ready."""
    run = Run(folder / "run")
    config = folder / "clawmates.toml"
    config.write_text(f'[platform]\nrun = "{run.root}"\n[gateway]\nollama = "127.0.0.1:{port}"\n')
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    notify.bind(str(folder / "notify"))
    line = (sys.executable, "-I", "-m", "clawmates.gateway", "--config", str(config))
    process = await asyncio.create_subprocess_exec(*line, env={"NOTIFY_SOCKET": str(folder / "notify")})
    try:
        async with asyncio.timeout(SECONDS):
            assert (await asyncio.get_running_loop().sock_recv(notify, 1000)).startswith(b"READY=1")
        yield run
    finally:
        notify.close()
        process.kill()
        await process.wait()


@contextmanager
def as_a_mate() -> Iterator[None]:
    """The kernel shows a mate to the gateway as a peer with another user's uid."""
    mine = os.geteuid()
    if mine != MATE_UID:
        os.seteuid(MATE_UID)
    try:
        yield
    finally:
        if mine != MATE_UID:
            os.seteuid(mine)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="cm-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


async def ask(run: Run, hosts: tuple[str, ...]) -> list[Delta | Finished]:
    config = MateConfig(
        revision=1,
        channel=ChannelKind.TERMINAL,
        channel_hosts=(),
        provider="ollama",
        provider_hosts=("ollama",),
        model=OLLAMA.model,
        context_tokens=4096,
        output_tokens=50,
    )
    spec = DoorSpec(bot="bot-1", uid_first=MATE_UID, uid_count=1, hosts=hosts, config=config)
    await GatewayClient(run.gateway).put(spec)
    web = Web(Door(str(run.doors / "bot-1" / "door.sock")), client_context())
    with as_a_mate():
        pieces = [piece async for piece in Ollama(web).answer(PROMPT)]
    for waiting in web._warm.values():
        for connection, _since in waiting:
            await connection.close()
    return pieces


async def test_a_local_model_answers_where_it_is_listed_and_nowhere_else(folder: Path) -> None:
    server = Server(OLLAMA.echo)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener, gateway(folder, listener.sockets[0].getsockname()[1]) as run:
        pieces = await ask(run, ("ollama",))
        assert pieces[-1] == Finished(Stop.COMPLETE, 11, 7)
        assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)).startswith("You said: hello")
        assert server.heard[0].headers["host"] == "localhost"
        with pytest.raises(ProviderError) as caught:
            await ask(run, ("api.openai.com",))
        assert caught.value.code is Code.HOST_NOT_ALLOWED
        assert len(server.heard) == 1
