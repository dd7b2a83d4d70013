"""The simulator as a process of its own, met over real TLS."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http.client import ClosedError, ConnectFailedError, Connection
from clawmates.base.tls import client_context
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Fault, FaultKind, Ports, Service, TlsMode
from clawmates.simulator.process import Folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TOKEN = "123456:" + "A" * 35
KEY = "sk-test-0123456789"


@dataclass
class Running:
    """A simulator process that has said it is ready."""

    process: asyncio.subprocess.Process
    folder: Folder
    ports: Ports
    control: Simulator

    def port(self, service: Service) -> int:
        return self.ports.of(service)

    async def shake_hands(self, service: Service, context: ssl.SSLContext) -> str:
        """The TLS version that was agreed on; raises what the standard library raises."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port(service), ssl=context, server_hostname=service.host
        )
        version: str = writer.get_extra_info("ssl_object").version()
        # A TLS 1.3 server may refuse after the client believes itself connected: exchange something.
        writer.write(f"GET / HTTP/1.1\r\nHost: {service.host}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read(12)).startswith(b"HTTP/1.1 4")
        writer.close()
        return version


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="sim"))
    yield path
    shutil.rmtree(path)


def command(folder: Path) -> list[str]:
    ports = ["--telegram-port", "0", "--openai-port", "0"]
    return [sys.executable, "-I", "-m", "clawmates.simulator", "--dir", str(folder), *ports]


@asynccontextmanager
async def start(folder: Path) -> AsyncIterator[Running]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(folder / "notify"))
        supervisor.settimeout(0)
        process = await asyncio.create_subprocess_exec(
            *command(folder / "s"), env={"NOTIFY_SOCKET": str(folder / "notify")}, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(60):
                assert await asyncio.get_running_loop().sock_recv(supervisor, 100) == b"READY=1"
            found = Folder(folder / "s")
            ports = Ports(**json.loads(found.ports.read_bytes()))
            yield Running(process, found, ports, Simulator(found.admin))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


@pytest.fixture
async def simulator(folder: Path) -> AsyncIterator[Running]:
    async with start(folder) as running:
        yield running


ENCRYPTED = [service for service in Service if service.encrypted]


@pytest.mark.parametrize("service", ENCRYPTED)
async def test_it_speaks_tls_13_and_nothing_older(simulator: Running, service: Service) -> None:
    assert await simulator.shake_hands(service, client_context(authority=simulator.folder.authority)) == "TLSv1.3"
    old = ssl.create_default_context(cafile=simulator.folder.authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await simulator.shake_hands(service, old)


async def test_strangers_do_not_trust_it(simulator: Running) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await simulator.shake_hands(Service.TELEGRAM, client_context())


@pytest.mark.parametrize("service", ENCRYPTED)
async def test_tls_12_mode_is_met_by_old_clients_only(simulator: Running, service: Service) -> None:
    await simulator.control.set_tls(service, TlsMode.TLS12)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await simulator.shake_hands(service, client_context(authority=simulator.folder.authority))
    weak = ssl.create_default_context(cafile=simulator.folder.authority)
    assert await simulator.shake_hands(service, weak) == "TLSv1.2"
    await simulator.control.set_tls(service, TlsMode.GOOD)
    assert await simulator.shake_hands(service, client_context(authority=simulator.folder.authority)) == "TLSv1.3"


EXPIRED, SELF_SIGNED_IN_CHAIN, HOST_MISMATCH = 10, 19, 62
"""X509_V_ERR_* of OpenSSL."""


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (TlsMode.EXPIRED, EXPIRED),
        (TlsMode.SELF_SIGNED, SELF_SIGNED_IN_CHAIN),
        (TlsMode.WRONG_NAME, HOST_MISMATCH),
    ],
)
async def test_wrong_certificates_really_show(simulator: Running, mode: TlsMode, code: int) -> None:
    await simulator.control.set_tls(Service.OPENAI, mode)
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        await simulator.shake_hands(Service.OPENAI, client_context(authority=simulator.folder.authority))
    assert refused.value.verify_code == code
    # A client that checks nothing gets through: it was the certificate and nothing else.
    careless = client_context(authority=simulator.folder.authority, check_hostname=False)
    careless.verify_mode = ssl.CERT_NONE
    assert await simulator.shake_hands(Service.OPENAI, careless) == "TLSv1.3"
    # The other service is as it was.
    await simulator.shake_hands(Service.TELEGRAM, client_context(authority=simulator.folder.authority))


async def test_open_connections_do_not_survive_a_change_of_mode(simulator: Running) -> None:
    await simulator.control.add_bot(TOKEN, "test_bot")
    context = client_context(authority=simulator.folder.authority)
    port = simulator.port(Service.TELEGRAM)
    connection = await Connection.tcp("127.0.0.1", port, tls=context, server_name=Service.TELEGRAM.host)
    response = await connection.request("GET", f"/bot{TOKEN}/getMe")
    assert json.loads(await response.read(1 << 16))["ok"] is True
    await simulator.control.set_tls(Service.TELEGRAM, TlsMode.TLS12)
    with pytest.raises(ClosedError):
        await connection.request("GET", f"/bot{TOKEN}/getMe")
    with pytest.raises(ConnectFailedError):
        await Connection.tcp("127.0.0.1", port, tls=context, server_name=Service.TELEGRAM.host)
    await connection.close()


async def test_a_conversation_over_both_services(simulator: Running) -> None:
    control = simulator.control
    await control.add_bot(TOKEN, "test_bot")
    await control.add_key(KEY)
    update_id = await control.say(TOKEN, 5, "hello")
    context = client_context(authority=simulator.folder.authority)
    telegram = await Connection.tcp(
        "127.0.0.1", simulator.port(Service.TELEGRAM), tls=context, server_name=Service.TELEGRAM.host
    )
    response = await telegram.request("GET", f"/bot{TOKEN}/getUpdates?timeout=50")
    (update,) = json.loads(await response.read(1 << 16))["result"]
    assert update["update_id"] == update_id

    openai = await Connection.tcp(
        "127.0.0.1", simulator.port(Service.OPENAI), tls=context, server_name=Service.OPENAI.host
    )
    headers = [("Authorization", f"Bearer {KEY}"), ("Content-Type", "application/json")]
    body = {"model": "gpt-5-mini", "input": update["message"]["text"], "store": False, "stream": True}
    response = await openai.request("POST", "/v1/responses", headers=headers, body=json.dumps(body).encode())
    assert b"response.completed" in await response.read(1 << 20)

    message = {"chat_id": 5, "text": "You said: hello"}
    response = await telegram.request(
        "POST",
        f"/bot{TOKEN}/sendMessage",
        headers=[("Content-Type", "application/json")],
        body=json.dumps(message).encode(),
    )
    assert response.status == 200
    assert (await control.wait_reply(TOKEN, 5, timeout=60)).text == "You said: hello"
    (call,) = await control.journal(Service.OPENAI)
    assert call.parameters["store"] is False
    await telegram.close()
    await openai.close()


async def test_every_ai_provider_answers_on_its_own_port(simulator: Running) -> None:
    said = {"role": "user", "content": "hello"}
    parts = {"contents": [{"parts": [{"text": "hello"}]}], "store": False}
    stream = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    calls: dict[Service, tuple[str, dict[str, str], dict[str, object]]] = {
        Service.OPENAI: (
            "/v1/responses",
            {"Authorization": f"Bearer {KEY}"},
            {"model": "gpt-5", "input": "hello", "store": False},
        ),
        Service.ANTHROPIC: (
            "/v1/messages",
            {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
            {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [said]},
        ),
        Service.GOOGLE: (stream, {"x-goog-api-key": KEY}, parts),
        Service.OLLAMA: ("/api/chat", {}, {"model": "llama3.2", "messages": [said], "stream": False}),
    }
    await simulator.control.add_model("llama3.2", Service.OLLAMA)
    for service, (path, headers, body) in calls.items():
        if service.encrypted and headers:
            await simulator.control.add_key(KEY, service)
        context = client_context(authority=simulator.folder.authority) if service.encrypted else None
        port = simulator.port(service)
        connection = await Connection.tcp("127.0.0.1", port, tls=context, server_name=service.host)
        response = await connection.request(
            "POST",
            path,
            headers=[("Content-Type", "application/json"), *headers.items()],
            body=json.dumps(body).encode(),
        )
        assert (service, response.status) == (service, 200)
        assert b"hello" in await response.read(1 << 20)
        (call,) = await simulator.control.journal(service)
        assert (call.tls, call.warnings) == ("TLSv1.3" if service.encrypted else "", ())
        assert KEY not in repr(call)
        await connection.close()
    assert (await simulator.control.status()).stored == 0


async def test_it_stops_cleanly_in_the_middle_of_work(folder: Path) -> None:
    async with start(folder) as running:
        await running.control.add_bot(TOKEN, "test_bot")
        await running.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.DELAY, seconds=600), method="getMe")
        context = client_context(authority=running.folder.authority)
        connection = await Connection.tcp(
            "127.0.0.1", running.port(Service.TELEGRAM), tls=context, server_name=Service.TELEGRAM.host
        )
        request = asyncio.create_task(connection.request("GET", f"/bot{TOKEN}/getMe"))
        await running.control.wait_call(Service.TELEGRAM, "getMe", timeout=60)
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            _, complaints = await running.process.communicate()
        assert (running.process.returncode, complaints) == (0, b"")
        with pytest.raises(ClosedError):
            await request
        await connection.close()
    assert not running.folder.ports.exists()
    assert not running.folder.admin.exists()


@pytest.mark.parametrize("service", list(Service))
async def test_a_port_in_use_is_one_sentence_and_78(folder: Path, service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *command(folder), f"--{service.value}-port", port, env=dict(os.environ), stderr=asyncio.subprocess.PIPE
        )
        _, complaint = await process.communicate()
    assert process.returncode == 78
    assert complaint.count(b"\n") == 1
    assert b"Address already in use" in complaint
