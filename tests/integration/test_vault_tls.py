"""The vault's listener, and control's behind the gateway, as a scanner, an old client and browsers see them."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import controlprocess
from tests.support.controlprocess import Control
from tests.support.vault import House, furnished, running

from clawmates.base.clock import SystemClock
from clawmates.base.http.client import Connection, HttpError
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import Platform, Settings
from clawmates.gateway.service import Gateway
from clawmates.proofs.claims.listening import examine
from clawmates.proofs.net.declared import Must
from clawmates.proofs.net.packets import End
from clawmates.proofs.net.sockets import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ALERT, FATAL, PROTOCOL_VERSION = 21, 2, 70
SCANNER = Path(__file__).resolve().parents[2] / "build" / "scanner" / "bin" / "sslyze"
"""sslyze in an environment of its own, made by `make setup`: its pins are not ours."""
SILENT = "import clawmates.base.serving.tls as t\ndel t.Outspoken._on_handshake_complete"
UNHEARD = "import clawmates.base.serving.proxied as p; p.caller_in = lambda _whole: None"
"""A control that takes the gateway's header off and does not look at it."""
TRIES = 2 * 30 + 1
"""More than a network has in two windows: one may end meanwhile."""
ANY_GROUP = (
    "import ssl, clawmates.base.serving.certificate as c\n"
    "def weak(*, identity, authority, clients):\n"
    " context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.minimum_version = ssl.TLSVersion.TLSv1_3\n"
    " context.load_cert_chain(*identity); context.load_verify_locations(cafile=authority)\n"
    " context.verify_mode = clients; return context\n"
    "c.server_context = weak"
)


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        yield house


def old_hello() -> bytes:
    """What a client sends that knows nothing newer than TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="vault")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def answer(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_tls_1_2_is_told_why_it_is_not_spoken_to(house: House) -> None:
    async with running(house) as vault:
        said = await answer(vault.port, old_hello())
    assert said == bytes([ALERT, 3, 3, 0, 2, FATAL, PROTOCOL_VERSION])
    async with running(house, weaken=SILENT) as vault:
        assert await answer(vault.port, old_hello()) == b""


async def scan(house: House, port: int, name: str = "vault") -> tuple[int, str]:
    """sslyze's exit code (1: not compliant) and what it says."""
    process = await asyncio.create_subprocess_exec(
        str(SCANNER),
        "--mozilla_config=modern",
        f"--certinfo_ca_file={house.state.authority}",
        f"--sni={name}",
        f"127.0.0.1:{port}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_scan_at_mozilla_modern_passes(house: House) -> None:
    async with running(house) as vault:
        code, said = await scan(house, vault.port)
    assert code == 0, said
    async with running(house, weaken=ANY_GROUP) as vault:
        code, said = await scan(house, vault.port)
    assert code == 1, said
    assert "should be rejected" in said


async def test_control_behind_the_gateways_ingress(house: House) -> None:
    """The platform's own name on the public port: the gateway opens nothing, and tells control who calls."""
    controlprocess.configure(house, control='proxies = ["127.0.0.1"]\n')
    async with controlprocess.serving(house) as control, ingress_to(house, control.web) as port:
        code, said = await scan(house, port, "localhost")
        assert await answer(port, old_hello()) == bytes([ALERT, 3, 3, 0, 2, FATAL, PROTOCOL_VERSION])
        assert code == 0, said
        assert await tells_apart(house, control, port) == (True, True)
        with pytest.raises(HttpError):  # who comes by himself says nothing of who he is
            await control.browser()
        end = End(ip_address("127.0.0.1"), control.web)
        seen, objections = await examine(Listener("control", 0, "tcp", f"127.0.0.1:{end.port}", end), Must.INTRODUCED)
        assert (objections, "TLS 1.3: TLS 1.3" in seen) == ((), True), "what `clawmates prove` asks of it"
    async with (
        controlprocess.serving(house, weaken=UNHEARD) as control,
        ingress_to(house, control.web, "again") as port,
    ):
        assert await tells_apart(house, control, port) == (False, True)


async def tells_apart(house: House, control: Control, port: int) -> tuple[bool, bool]:
    """Whether somebody who guesses codes is stopped, whatever else he says of himself; whether another is not."""
    async with browser(house, port, "127.0.0.1") as one, browser(house, port, "127.1.0.1") as other:
        stopped = [await guess(one) for _ in range(TRIES)][-1] == 429
        if stopped:
            assert await guess(one, ("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")) == 429
        return stopped, await guess(other) == 410


async def guess(browser: Connection, *headers: tuple[str, str]) -> int:
    form = (("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://localhost:8443"))
    response = await browser.request("POST", "/enter", headers=(*form, *headers), body=b"code=" + b"0" * 20)
    await response.read(1 << 20)
    return response.status


@asynccontextmanager
async def browser(house: House, port: int, address: str) -> AsyncIterator[Connection]:
    """From an address of its own."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=house.tls(), server_hostname="localhost", local_addr=(address, 0)
    )
    connection = Connection.over(reader, writer, "localhost")
    yield connection
    await connection.close()


@asynccontextmanager
async def ingress_to(house: House, port: int, run: str = "gateway") -> AsyncIterator[int]:
    """A gateway whose callers of ``localhost`` are passed to that port."""
    settings = Settings(
        platform=Platform(run=str(house.root / run)),
        gateway=GatewaySettings(ingress="127.0.0.1:0", control=f"127.0.0.1:{port}"),
    )
    gateway, stop = Gateway(settings, house.state, SystemClock(), drain_seconds=0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.run(stop))
        await gateway.serving.wait()
        try:
            yield gateway.callers[1]
        finally:
            stop.set()
