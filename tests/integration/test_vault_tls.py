"""The vault's listener as a scanner and an old client see it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.vault import House, furnished, running

from clawmates.base.clock import SystemClock
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import Platform, Settings
from clawmates.gateway.service import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ALERT, FATAL, PROTOCOL_VERSION = 21, 2, 70
SCANNER = Path(__file__).resolve().parents[2] / "build" / "scanner" / "bin" / "sslyze"
"""sslyze in an environment of its own, made by `make setup`: its pins are not ours."""
SILENT = "import clawmates.base.serving.tls as t\ndel t.Outspoken._on_handshake_complete"
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


async def test_a_scan_through_the_gateways_ingress_passes(house: House) -> None:
    """The platform's own name on the public port: the gateway opens nothing, so it is what is behind it."""
    async with running(house) as vault, ingress_to(house, vault.port) as port:
        code, said = await scan(house, port, "localhost")
        assert await answer(port, old_hello()) == bytes([ALERT, 3, 3, 0, 2, FATAL, PROTOCOL_VERSION])
    assert code == 0, said


@asynccontextmanager
async def ingress_to(house: House, port: int) -> AsyncIterator[int]:
    """A gateway whose callers of ``localhost`` are passed to that port."""
    settings = Settings(
        platform=Platform(run=str(house.root / "run")),
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
