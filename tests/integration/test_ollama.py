"""A bot at the terminal, answered by a model on the same host, on a host that has no network at all."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.home import Home, a_home, until_printed, up
from tests.support.standins import stand_ins

from clawmates.simulator.model import Service
from clawmates.wire.gateway_client import GatewayClient

pytestmark = pytest.mark.timeout(300)

MODEL = "llama3.2:3b"


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made


@contextmanager
def no_network(name: str) -> Iterator[tuple[str, ...]]:
    """The command that runs another one in a network namespace with a loopback and nothing else (ip-netns(8))."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ("nsenter", f"--net=/run/netns/{name}")
    try:
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


async def test_the_flow_of_the_self_hosting_page_needs_no_key_no_secret_and_no_network(home: Home) -> None:
    options = ["--bot", "home", "--channel", "terminal", "--provider", "ollama", "--model", MODEL]
    await asyncio.to_thread(home.json, "selfhost", "init", "--run", str(home.run), "--listen", "127.0.0.1:0", *options)
    with no_network(home.run.name) as inside:
        async with stand_ins(*inside) as there:
            await there.simulator.add_model(MODEL, Service.OLLAMA)
            config = home.state / "clawmates.toml"
            config.write_text(config.read_text() + f'[gateway]\nollama = "127.0.0.1:{there.ports["ollama"]}"\n')
            async with up(home, *inside) as process:
                await until_printed(process, "live")
                chat = await asyncio.to_thread(home.run_command, "chat", given="is anybody out there?\n")
                assert "is anybody out there?" in chat.stdout, chat.stderr
                flows = (await GatewayClient(home.run / "gateway" / "gateway.sock").status()).flows
                assert {flow.host for flow in flows} == {"ollama", "vault"}, "both are this host's own"
                status = await asyncio.to_thread(home.json, "status")
                assert status["unsafe"] == []
                assert status["bots"][0]["code"] == ""
