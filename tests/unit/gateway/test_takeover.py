"""A gateway in hostile hands: what it can do to a mate, and what it cannot."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import asynccontextmanager, nullcontext
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.gateway.test_ingress import NAME, caller_side, hook_identity
from tests.unit.gateway.test_tunnel import stand_in, trusting, upgrade

from clawmates.base.x509 import Authority, Names
from clawmates.gateway.helper import HelperResolver
from clawmates.gateway.turns import Ledger
from clawmates.wire.door import MateConfig, TurnAnswer, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.gateway.conftest import Hellos, House, ManualClock

__all__ = ["hook_identity"]
HOST = "api.telegram.org"


@pytest.fixture(scope="session")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best certificate that a gateway can make itself: the right name, by an authority of its own."""
    folder, now = tmp_path_factory.mktemp("forged"), datetime.now(UTC)
    leaf = Authority.create("ClawMates", now).issue(Names(dns=(HOST, "vault", NAME)), now)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    return folder


@asynccontextmanager
async def in_the_middle(folder: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that ends TLS with a forged certificate and reads along; yields its port."""
    context, heard = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.read(100))
        except OSError:
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(read, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


async def test_it_can_cut_and_see_and_send_elsewhere(house: House, hellos: Hellos, forged: Path) -> None:
    await house.client.put(house.spec())
    async with stand_in(house, hellos.server_context()):
        mate = await house.knock()
        await house.tunnel(mate)
        await upgrade(mate, trusting(hellos))
        await house.client.delete("bot-1")
        assert await mate.reader.read(1) == b"", "cut"
        await mate.close()
    async with in_the_middle(forged) as (port, _):
        house.dialler.port = port
        await house.client.put(house.spec())
        mate = await house.knock()
        assert await house.tunnel(mate) == (200, ""), "sent elsewhere"
        await mate.close()


@pytest.mark.parametrize("name", [HOST, "vault"])
async def test_it_cannot_pass_itself_off_as_another(house: House, hellos: Hellos, forged: Path, name: str) -> None:
    await house.client.put(house.spec())
    async with in_the_middle(forged) as (port, heard):
        house.dialler.port = port
        mate = await house.knock()
        await house.tunnel(mate, f"{name}:443")
        with pytest.raises(ssl.SSLCertVerificationError):
            await upgrade(mate, trusting(hellos), name)
        await mate.close()
    assert b"".join(heard) == b""


async def test_weakened_mate_that_does_not_check_would_be_read(house: House, forged: Path) -> None:
    await house.client.put(house.spec())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with in_the_middle(forged) as (port, heard):
        house.dialler.port = port
        mate = await house.knock()
        await house.tunnel(mate)
        await upgrade(mate, context)
        mate.writer.write(b"what the person said")
        await mate.reader.read()
        await mate.close()
    assert heard == [b"what the person said"]


@pytest.mark.parametrize("change", [False, True])
async def test_it_cannot_read_or_change_what_is_said(
    house: House, hellos: Hellos, monkeypatch: pytest.MonkeyPatch, *, change: bool
) -> None:
    passed = bytearray()

    def hostile(data: memoryview) -> bytes:
        passed.extend(data)
        return bytes(data[:-1]) + bytes([data[-1] ^ 1]) if change and b"later" in said else bytes(data)

    said: list[bytes] = []
    relay = "clawmates.gateway.relay._End"

    def buffer_updated(self: object, nbytes: int) -> None:
        from clawmates.gateway.relay import _SCRATCH  # noqa: PLC0415 - the hostile gateway's own inside

        self._pass_on(hostile(_SCRATCH[:nbytes]))  # type: ignore[attr-defined]

    monkeypatch.setattr(f"{relay}.buffer_updated", buffer_updated)
    await house.client.put(house.spec())
    async with stand_in(house, hellos.server_context()) as received:
        mate = await house.knock()
        await house.tunnel(mate)
        await upgrade(mate, trusting(hellos))
        mate.writer.write(b"what the person said")
        assert await mate.reader.readexactly(20) == b"what the person said"
        said.append(b"later")
        mate.writer.write(b"and what came after")
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)) if change else nullcontext():
            assert await mate.reader.readexactly(19) == b"and what came after"
        assert b"".join(received)[:20] == b"what the person said"
        mate.writer.transport.abort()
    assert len(passed) > 60
    assert b"person" not in passed


async def test_it_cannot_answer_a_caller(forged: Path, hook_identity: Path) -> None:
    async with in_the_middle(forged) as (port, heard):
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=caller_side(hook_identity), server_hostname=NAME)
    assert b"".join(heard) == b""


async def test_it_can_lie_about_turns(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    for lie in Verdict:
        monkeypatch.setattr(Ledger, "begin", lambda *_, lie=lie: lie)
        status, answer = await house.call("POST", "/turn/begin", {"turn": "1"})
        assert (status, json.loads(answer)) == (200, {"verdict": lie.value})
    monkeypatch.setattr(Ledger, "met", lambda *_: True)
    status, answer = await house.call("POST", "/turn/begin", {"turn": "1", "chat": "a"})
    assert (status, json.loads(answer)) == (200, {"verdict": lie.value, "met": True})


def test_the_door_gives_nothing_that_is_run() -> None:
    """All that comes through the door beside opaque bytes: verdicts, and numbers and names."""
    assert {field.name for field in fields(TurnAnswer)} == {"verdict", "met"}
    assert {field.name for field in fields(MateConfig)} == {
        *("revision", "channel", "channel_hosts", "provider", "provider_hosts", "model"),
        *("context_tokens", "output_tokens", "temperature", "items", "fallback", "limits", "access", "pairings"),
    }


async def test_two_customers_behind_one_name_are_one_host(house: House, hellos: Hellos) -> None:
    await house.client.put(house.spec())
    async with stand_in(house, hellos.server_context()) as received:
        for customer in (b"Host: one", b"Host: two"):
            mate = await house.knock()
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            mate.writer.write(customer)
            assert await mate.reader.readexactly(len(customer)) == customer
            mate.writer.transport.abort()
        assert received == [b"Host: one", b"Host: two"]
    assert [flow.host for flow in (await house.client.status()).flows] == [HOST]


async def test_helper_is_told_a_name_and_nothing_else(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    told = bytearray()
    write = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def listen(self: asyncio.Transport, data: bytes) -> None:
        if self.get_extra_info("socket").family == socket.AF_UNIX:
            told.extend(data)
        write(self, data)

    monkeypatch.setattr("asyncio.selector_events._SelectorSocketTransport.write", listen)
    resolver = HelperResolver(("/bin/cat",), clock.monotonic)
    asking = asyncio.create_task(resolver.lookup(HOST))
    async with asyncio.timeout(10):
        while not told.endswith(b"\n"):  # noqa: ASYNC110 - the loop turns once each time
            await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await resolver.close()
    assert bytes(told) == f"1 {HOST}\n".encode()
