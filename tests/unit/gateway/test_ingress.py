"""Callers from outside, over real sockets and real TLS; the mate is a peer at the door that ends TLS itself."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address, ip_network
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.http.client import SWITCHING, Connection
from clawmates.base.proxyheader import header
from clawmates.base.serving.proxied import behind
from clawmates.base.serving.tls import over_tls
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import GatewayLimits
from clawmates.base.x509 import Authority, Names
from clawmates.gateway import door as door_module
from clawmates.gateway import hello, ingress, tunnel
from clawmates.gateway.decision import ALLOW
from clawmates.gateway.ingress import alert
from clawmates.gateway.parking import Call, Parking
from clawmates.gateway.routes import NOWHERE, Callee, Route, route
from clawmates.gateway.streams import Side
from clawmates.wire.door import PARK_PROTOCOL, PARK_READY, Refusal
from clawmates.wire.gatewayctl import DoorStatus, IngressStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.gateway.conftest import Hellos, House

LABEL = "k3j9x0q7w2e5r8t1"
NAME = f"{LABEL}.hooks.localhost"
OTHER = "0000000000000000.hooks.localhost"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
UPGRADE = (("Connection", "upgrade"), ("Upgrade", PARK_PROTOCOL))
OPEN = GatewaySettings(ingress="127.0.0.1:0", control="127.0.0.1:1")
opened = pytest.mark.parametrize("house", [OPEN], indirect=True)


class TestRoute:
    def test_bot_control_and_nobody(self) -> None:
        assert route(f"{LABEL}.hooks.mates.example", "mates.example") == Route(Callee.BOT, LABEL)
        assert route("mates.example", "mates.example") == Route(Callee.CONTROL)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "hooks.mates.example",
            ".hooks.mates.example",
            f"{LABEL}.mates.example",
            f"{LABEL}.hooks.other.example",
            f"x.{LABEL}.hooks.mates.example",
            f"{LABEL.upper()}.hooks.mates.example",
            f"{LABEL}.hooks.mates.example.",
            f"{LABEL}_.hooks.mates.example",
            "short.hooks.mates.example",
            f"{'a' * 64}.hooks.mates.example",
            "mates.example.",
            "MATES.example",
            "www.mates.example",
            "127.0.0.1",
        ],
    )
    def test_every_other_spelling_is_nobody(self, name: str) -> None:
        assert route(name, "mates.example") == NOWHERE

    @given(st.text(max_size=90))
    def test_any_text(self, text: str) -> None:
        found = route(text, "mates.example")
        assert found.callee is not Callee.BOT or text == f"{found.label}.hooks.mates.example"


@pytest.fixture(scope="session")
def hook_identity(tmp_path_factory: pytest.TempPathFactory, hellos: Hellos) -> Path:
    folder = tmp_path_factory.mktemp("hook")
    from datetime import UTC, datetime  # noqa: PLC0415 - only the fixture needs the time

    now = datetime.now(UTC)
    authority = Authority.create("callers' authority", now)
    leaf = authority.issue(Names(dns=(NAME, OTHER, "localhost")), now)
    (folder / "authority.pem").write_bytes(authority.pair.certificate)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    return folder


def server_side(folder: Path, newest: ssl.TLSVersion = V13) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.maximum_version = newest
    return context


def caller_side(folder: Path, newest: ssl.TLSVersion = V13) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    context.minimum_version, context.maximum_version = V12, newest
    return context


async def park(house: House) -> tuple[Connection, asyncio.Task[int]]:
    """A parked connection, and the status it will get."""
    mate = await house.knock()

    async def status() -> int:
        answer = await mate.request("POST", "/park", headers=UPGRADE)
        if answer.status not in {SWITCHING, 204}:
            await answer.read(1000)
        return answer.status

    before = (await door_status(house)).parked
    task = asyncio.create_task(status())
    async with asyncio.timeout(5):
        while not task.done() and (await door_status(house)).parked == before:
            pass
    return mate, task


async def door_status(house: House) -> DoorStatus:
    return (await house.client.status()).doors[0]


async def calls(house: House) -> IngressStatus:
    status = (await house.client.status()).ingress
    assert status is not None
    return status


async def refused(house: House, reason: Refusal) -> bool:
    async with asyncio.timeout(5):
        while reason not in (await calls(house)).reasons:
            pass
    return True


async def answer(mate: Connection, task: asyncio.Task[int], context: ssl.SSLContext) -> Connection:
    """The mate's side of TLS, once it is called."""
    assert await task == SWITCHING
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    assert mate.leftover() == b"", "TLS begins when the mate is ready"
    mate.writer.write(PARK_READY)
    transport = await loop.start_tls(mate.writer.transport, protocol, context, server_side=True)
    assert transport is not None
    protocol.connection_made(transport)
    return Connection.over(reader, asyncio.StreamWriter(transport, protocol, reader, loop), "caller")


async def call(
    house: House, context: ssl.SSLContext | None, name: str = NAME
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = house.gateway.callers
    return await asyncio.open_connection(host, port, ssl=context, server_hostname=name if context else None)


@asynccontextmanager
async def conversation(
    house: House, folder: Path, name: str = NAME
) -> AsyncIterator[tuple[Connection, asyncio.StreamReader, asyncio.StreamWriter]]:
    mate, waiting = await park(house)
    async with asyncio.timeout(10):
        calling = asyncio.create_task(call(house, caller_side(folder), name))
        there = await answer(mate, waiting, server_side(folder))
        reader, writer = await calling
    yield there, reader, writer
    for one in (there.writer, writer):
        one.transport.abort()


@opened
class TestCall:
    async def test_tls_ends_at_the_mate(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        async with conversation(house, hook_identity) as (mate, reader, writer):
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.write(b"from outside")
            assert await mate.reader.readexactly(12) == b"from outside"
            mate.writer.write(b"from the mate")
            assert await reader.readexactly(13) == b"from the mate"
            status = await house.client.status()
            flow = status.flows[0]
            assert (flow.host, flow.connections, status.doors[0].tunnels) == ("hooks", 1, 1)
            assert min(flow.bytes_out, flow.bytes_in) > 300
            assert flow.bytes_out > flow.bytes_in, "certificates travel out"
            assert (await calls(house)).calls == 1

    async def test_hello_retry_request(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        mate, waiting = await park(house)
        context = server_side(hook_identity)
        context.set_ecdh_curve("secp384r1")
        calling = asyncio.create_task(call(house, caller_side(hook_identity)))
        there = await answer(mate, waiting, context)
        reader, writer = await calling
        there.writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.transport.abort()
        there.writer.transport.abort()

    async def test_caller_waits_a_moment_for_the_mate(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        calling = asyncio.create_task(call(house, caller_side(hook_identity)))
        async with asyncio.timeout(5):
            while not (await calls(house)).open:
                pass
        mate = await house.knock()
        parked = asyncio.create_task(mate.request("POST", "/park", headers=UPGRADE))

        async def status() -> int:
            return (await parked).status

        there = await answer(mate, asyncio.create_task(status()), server_side(hook_identity))
        _, writer = await calling
        writer.transport.abort()
        there.writer.transport.abort()

    async def test_two_bots_and_each_gets_its_own(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec("bot-1", hook=LABEL))
        await house.client.put(house.spec("bot-2", hook=OTHER.partition(".")[0]))
        async with conversation(house, hook_identity) as (mate, _, writer):
            writer.write(b"for one")
            assert await mate.reader.readexactly(7) == b"for one"
        with pytest.raises(OSError, match=r"INTERNAL_ERROR|internal error"):
            await call(house, caller_side(hook_identity), OTHER)
        assert await refused(house, Refusal.NOBODY_WAITS)

    async def test_end_of_the_call_ends_both(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        async with conversation(house, hook_identity) as (mate, _, writer):
            writer.transport.abort()
            async with asyncio.timeout(5):
                assert await mate.reader.read(1) == b""
                while (await calls(house)).open:
                    pass
        assert (await door_status(house)).tunnels == 0

    async def test_new_label_cuts_the_calls_of_the_old_one(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        async with conversation(house, hook_identity) as (_, reader, writer):
            await house.client.put(house.spec(hook=LABEL, revision=2))
            assert (await door_status(house)).tunnels == 1
            await house.client.put(house.spec(hook=LABEL[::-1]))
            async with asyncio.timeout(5):
                with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
            writer.transport.abort()


@opened
class TestRefused:
    """Each before a byte has reached anybody: the mate's parked connection stays parked, control hears nothing."""

    async def say(self, house: House, first: bytes) -> bytes:
        """Everything that a caller who says this is told."""
        reader, writer = await call(house, None)
        writer.write(first)
        writer.write_eof()
        async with asyncio.timeout(10):
            told = await reader.read()
        writer.transport.abort()
        return told

    @pytest.mark.parametrize(
        ("name", "newest", "reason"),
        [
            (NAME, V12, Refusal.TLS_TOO_OLD),
            ("", V12, Refusal.TLS_TOO_OLD),
            (OTHER, V13, Refusal.NAME_UNKNOWN),
            ("evil.example", V13, Refusal.NAME_UNKNOWN),
            ("127.0.0.1", V13, Refusal.SNI_MISMATCH),
            ("", V13, Refusal.SNI_MISMATCH),
        ],
    )
    async def test_alert_and_nothing_else(
        self, house: House, hellos: Hellos, name: str, newest: ssl.TLSVersion, reason: Refusal
    ) -> None:
        await house.client.put(house.spec(hook=LABEL))
        mate, waiting = await park(house)
        assert await self.say(house, hellos.client_hello(name, newest=newest)) == alert(reason) != b""
        assert (await calls(house)).reasons == {reason: 1}
        assert not waiting.done()
        assert house.dialler.dialled == []
        waiting.cancel()
        await mate.close()

    async def test_tls_12_client_reads_protocol_version(self, house: House, hook_identity: Path) -> None:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await call(house, caller_side(hook_identity, V12))

    async def test_weakened_a_12_caller_would_reach_the_mate(
        self, house: House, hook_identity: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hello, "judge_client", lambda host, message, **_: ALLOW)
        monkeypatch.setattr(hello, "judge_server", lambda message, *, second: ALLOW)
        await house.client.put(house.spec(hook=LABEL))
        mate, waiting = await park(house)
        calling = asyncio.create_task(call(house, caller_side(hook_identity, V12)))
        there = await answer(mate, waiting, server_side(hook_identity))
        _, writer = await calling
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.transport.abort()
        there.writer.transport.abort()

    async def test_weakened_an_unknown_name_would_reach_the_mate(
        self, house: House, hook_identity: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ingress, "route", lambda name, domain: Route(Callee.BOT, LABEL))
        await house.client.put(house.spec(hook=LABEL))
        async with conversation(house, hook_identity, OTHER) as (mate, _, writer):
            writer.write(b"x")
            assert await mate.reader.readexactly(1) == b"x"

    @pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16", b"\x16\x03\x01\x00\x05hello"])
    async def test_who_does_not_speak_tls_is_told_nothing(self, house: House, first: bytes) -> None:
        assert await self.say(house, first) == b""
        assert await refused(house, Refusal.NOT_TLS)

    async def test_slow_caller(self, house: House, monkeypatch: pytest.MonkeyPatch, hellos: Hellos) -> None:
        monkeypatch.setattr(tunnel, "HELLO_SECONDS", 0.02)
        reader, writer = await call(house, None)
        writer.write(hellos.client_hello(NAME)[:-1])
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert await refused(house, Refusal.NOT_TLS)
        writer.transport.abort()

    async def test_caller_who_sends_a_byte_at_a_time(
        self, house: House, monkeypatch: pytest.MonkeyPatch, hellos: Hellos
    ) -> None:
        """The bound is on the whole hello, so it does not help to keep it coming."""
        monkeypatch.setattr(tunnel, "HELLO_SECONDS", 0.1)
        assert await drip(*await call(house, None), hellos.client_hello(NAME)) < 100
        assert await refused(house, Refusal.NOT_TLS)
        monkeypatch.setattr(tunnel, "HELLO_SECONDS", 60)  # the weakened build
        assert await drip(*await call(house, None), hellos.client_hello(NAME)[:100]) == 100

    async def test_giant_hello(self, house: House) -> None:
        fragment = b"\x01\x00\xff\xf0" + bytes(16000)
        record = b"\x16\x03\x01" + len(fragment).to_bytes(2, "big") + fragment
        more = b"\x16\x03\x01\x40\x00" + bytes(1 << 14)
        reader, writer = await call(house, None)
        with_end = record + more * 5
        writer.write(with_end)
        async with asyncio.timeout(5):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                assert await refused(house, Refusal.NOT_TLS)
        writer.transport.abort()
        assert await refused(house, Refusal.NOT_TLS)

    async def test_caller_whose_line_breaks(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        async def broken(*_: object) -> None:
            raise ConnectionResetError

        monkeypatch.setattr(ingress, "read_hello", broken)
        assert await self.say(house, b"") == b""
        assert (await calls(house)).reasons == {}

    async def test_nothing_is_said_to_who_has_gone(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        async def gone(_hello: object, caller: Side, _early: bytes) -> None:
            caller.transport.abort()
            raise tunnel.DeniedError(Refusal.NAME_UNKNOWN)

        monkeypatch.setattr(ingress, "read_hello", gone)
        _, writer = await call(house, None)
        assert await refused(house, Refusal.NAME_UNKNOWN)
        writer.transport.abort()

    async def test_too_many_of_one_address(self, house: House, hellos: Hellos, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ingress, "MOST_OF_ONE", 2)
        held = [await call(house, None) for _ in range(2)]
        async with asyncio.timeout(5):
            while (await calls(house)).open < 2:
                pass
        assert await self.say(house, b"") == alert(Refusal.TOO_MANY)
        for _, writer in held:
            writer.transport.abort()
        async with asyncio.timeout(5):
            while (await calls(house)).open:
                pass
        assert await self.say(house, hellos.client_hello(OTHER)) == alert(Refusal.NAME_UNKNOWN)

    async def test_weakened_without_the_bound_he_is_heard(self, house: House, hellos: Hellos) -> None:
        held = [await call(house, None) for _ in range(2)]
        assert await self.say(house, hellos.client_hello(OTHER)) == alert(Refusal.NAME_UNKNOWN)
        for _, writer in held:
            writer.transport.abort()

    async def test_nobody_waits(self, house: House, hellos: Hellos, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ingress, "PARKED_SECONDS", 0.02)
        await house.client.put(house.spec(hook=LABEL))
        assert await self.say(house, hellos.client_hello(NAME)) == alert(Refusal.NOBODY_WAITS)

    async def test_bot_without_a_hook_cannot_be_called(self, house: House, hellos: Hellos) -> None:
        await house.client.put(house.spec())
        assert await self.say(house, hellos.client_hello(NAME)) == alert(Refusal.NAME_UNKNOWN)
        mate, waiting = await park(house)
        assert await waiting == 404
        await mate.close()

    async def test_caller_who_leaves_while_refused(self, house: House, hellos: Hellos) -> None:
        _, writer = await call(house, None)
        writer.write(hellos.client_hello(OTHER))
        writer.transport.abort()
        async with asyncio.timeout(5):
            while (await calls(house)).open:
                pass
        assert await self.say(house, hellos.client_hello(OTHER)) == alert(Refusal.NAME_UNKNOWN)


@opened
class TestServer:
    async def test_mate_that_answers_with_12_is_cut(self, house: House, hellos: Hellos, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        mate, waiting = await park(house)
        reader, writer = await call(house, None)
        first = hellos.client_hello(NAME)
        writer.write(first)
        assert await waiting == SWITCHING
        mate.writer.write(PARK_READY)
        assert await mate.reader.readexactly(len(first)) == first
        mate.writer.write(hellos.server_hello(first, newest=V12))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert (await door_status(house)).reasons == {Refusal.TLS_TOO_OLD: 1}
        writer.transport.abort()
        await mate.close()

    async def test_mate_that_speaks_first_is_cut(self, house: House, hellos: Hellos) -> None:
        await house.client.put(house.spec(hook=LABEL))
        mate = await house.knock()
        head = f"POST /park HTTP/1.1\r\nHost: door\r\nConnection: upgrade\r\nUpgrade: {PARK_PROTOCOL}\r\n"
        mate.writer.write(head.encode() + b"Content-Length: 0\r\n\r\nI speak first")
        async with asyncio.timeout(5):
            while not (await door_status(house)).parked:
                pass
        reader, writer = await call(house, None)
        writer.write(hellos.client_hello(NAME))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert (await door_status(house)).reasons == {Refusal.NOT_TLS: 1}
        writer.transport.abort()
        await mate.close()


@opened
class TestParking:
    async def test_ends_empty(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(door_module, "PARK_WAIT_SECONDS", 0.02)
        await house.client.put(house.spec(hook=LABEL))
        mate = await house.knock()
        for _ in range(2):
            answer = await mate.request("POST", "/park", headers=UPGRADE)
            assert (answer.status, await answer.read(1)) == (204, b"")
        await mate.close()
        assert (await door_status(house)).parked == 0

    async def test_bounded(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        parked = [await park(house) for _ in range(GatewayLimits().parked)]
        mate, waiting = await park(house)
        assert await waiting == 502
        assert await house.refusals() == {Refusal.TOO_MANY: 1}
        for one, task in parked:
            task.cancel()
            await one.close()
        await mate.close()

    async def test_weakened_bound_would_take_one_more(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clawmates.gateway.parking.Parking.__len__", lambda self: 0)
        await house.client.put(house.spec(hook=LABEL))
        mates = [await house.knock() for _ in range(GatewayLimits().parked + 1)]
        waiting = [asyncio.create_task(mate.request("POST", "/park", headers=UPGRADE)) for mate in mates]
        await house.call("GET", "/nothing")
        assert not any(task.done() for task in waiting)
        for task, mate in zip(waiting, mates, strict=True):
            task.cancel()
            await mate.close()

    async def test_dead_mate_is_not_called(self, house: House, hook_identity: Path) -> None:
        await house.client.put(house.spec(hook=LABEL))
        dead, task = await park(house)
        task.cancel()
        await dead.close()
        async with asyncio.timeout(5):
            while (await door_status(house)).parked:
                pass
        async with conversation(house, hook_identity) as (mate, _, writer):
            writer.write(b"x")
            assert await mate.reader.readexactly(1) == b"x"

    @pytest.mark.parametrize(
        ("method", "headers", "status"),
        [
            ("POST", (), 426),
            ("POST", (("Connection", "upgrade"), ("Upgrade", "websocket")), 426),
            ("GET", UPGRADE, 404),
        ],
    )
    async def test_other_wishes(
        self, house: House, method: str, headers: tuple[tuple[str, str], ...], status: int
    ) -> None:
        await house.client.put(house.spec(hook=LABEL))
        mate = await house.knock()
        assert (await mate.request(method, "/park", headers=headers)).status == status
        await mate.close()

    async def test_draining(self, house: House, hellos: Hellos) -> None:
        house.gateway.drain_seconds = 20
        await house.client.put(house.spec(hook=LABEL))
        await house.call("POST", "/turn/begin", {"turn": "1"})
        mate, waiting = await park(house)
        late = await house.knock()
        house.stop.set()
        assert await waiting == 204
        refusal = await late.request("POST", "/park", headers=UPGRADE)
        assert (refusal.status, b"draining" in await refusal.read(100)) == (502, True)
        reader, writer = await call(house, None)
        writer.write(hellos.client_hello(NAME))
        async with asyncio.timeout(5):
            assert await reader.read() == alert(Refusal.DRAINING)
        await house.call("POST", "/turn/end", {"turn": "1"})
        await asyncio.wait_for(house.task, 5)
        for one in (mate, late):
            await one.close()
        writer.transport.abort()


def made_up_call() -> Call:
    return Call(NAME, cast(Side, None), b"")


class TestHandOver:
    async def test_mate_that_dies_as_it_is_called_ends_the_call(self) -> None:
        parking, call = Parking(), made_up_call()
        waiting = asyncio.create_task(parking.wait(60))
        assert await parking.take(call, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert call.over.is_set()

    async def test_mate_that_dies_before_is_forgotten(self) -> None:
        parking = Parking()
        waiting = asyncio.create_task(parking.wait(60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(parking) == 0

    async def test_closed_parking_calls_nobody(self) -> None:
        parking = Parking()
        waiting = asyncio.create_task(parking.wait(60))
        await asyncio.sleep(0)
        parking.close()
        assert not await parking.take(made_up_call(), 0)
        assert await waiting is None

    async def test_first_come_first_called(self) -> None:
        parking, call = Parking(), made_up_call()
        first, second = (asyncio.create_task(parking.wait(60)) for _ in range(2))
        await asyncio.sleep(0)
        await parking.take(call, 0)
        assert await first is call
        assert len(parking) == 1
        parking.close()
        assert await second is None


def with_inner_hello(flight: bytes) -> bytes:
    """A flight of one record, with a GREASE encrypted_client_hello (RFC 9849 §6.2) as its last extension."""
    ech = b"\0\0\x01\0\x01\x2a\0\x20" + b"k" * 32 + b"\0\x90" + b"p" * 144
    extension = b"\xfe\x0d" + len(ech).to_bytes(2, "big") + ech
    body = flight[9:]
    at = 2 + 32
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    size = int.from_bytes(body[at : at + 2], "big") + len(extension)
    body = body[:at] + size.to_bytes(2, "big") + body[at + 2 :] + extension
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return flight[:3] + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%lo", "fe80::/64"),
    ],
)
def test_who_has_a_network_is_one_caller(address: str, whose: str) -> None:
    assert ingress.crowd(address) == whose


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> int:
    """How many bytes go out, one every few milliseconds, before the other side hangs up."""
    for sent in range(len(data)):
        writer.write(data[sent : sent + 1])
        with suppress(TimeoutError, ConnectionResetError):
            async with asyncio.timeout(0.005):
                assert await reader.read(1) == b""
        if reader.at_eof() or reader.exception():
            break
    else:
        sent = len(data)
    writer.transport.abort()
    await asyncio.sleep(0)
    return sent


@opened
class TestControl:
    @asynccontextmanager
    async def control(self, house: House, context: ssl.SSLContext) -> AsyncIterator[list[tuple[str, int]]]:
        """One that says again what it hears; yields whom the gateway has named."""
        named: list[tuple[str, int]] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        def serve(*, origin: tuple[str, int]) -> asyncio.Protocol:
            named.append(origin)
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo)

        make = behind((ip_network("127.0.0.1"),), over_tls(serve, context, 9, 5), 9, 5)
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        house.dialler.port = server.sockets[0].getsockname()[1]
        try:
            yield named
        finally:
            server.close()

    async def test_its_own_name_is_passed_through(self, house: House, hook_identity: Path) -> None:
        async with self.control(house, server_side(hook_identity)) as named:
            reader, writer = await call(house, caller_side(hook_identity), "localhost")
            writer.write(b"hello control")
            assert await reader.readexactly(13) == b"hello control"
            assert named == [writer.get_extra_info("sockname")], "control is told who calls"
            assert (await calls(house)).passed == 1
            writer.transport.abort()
        assert [(one.addresses, one.port) for one in house.dialler.dialled] == [((IPv4Address("127.0.0.1"),), 1)]
        assert house.resolver.asked == []

    async def test_a_browsers_made_up_inner_hello_is_passed_through(self, house: House, hellos: Hellos) -> None:
        """Chrome and Firefox send an encrypted_client_hello to everybody."""
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.set_result(await reader.readexactly(28 + len(sent)))
            writer.transport.abort()

        sent = with_inner_hello(hellos.client_hello("localhost"))
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        house.dialler.port = server.sockets[0].getsockname()[1]
        _reader, writer = await call(house, None)
        writer.write(sent)
        async with asyncio.timeout(5):
            told = header(writer.get_extra_info("sockname"), house.gateway.callers)
            assert await heard == told + sent, "and nothing else is put before or between"
        writer.transport.abort()
        server.close()

    async def test_control_that_selects_12_is_cut(self, house: House, hook_identity: Path) -> None:
        async with self.control(house, server_side(hook_identity, V12)):
            with pytest.raises(OSError):  # noqa: PT011 - an alert or an end, as the race has it
                await call(house, caller_side(hook_identity), "localhost")
        assert await refused(house, Refusal.TLS_TOO_OLD)

    async def test_control_that_is_away(self, house: House, hellos: Hellos) -> None:
        assert await TestRefused().say(house, hellos.client_hello("localhost")) == alert(Refusal.UNREACHABLE)


@pytest.mark.parametrize(
    "house",
    [GatewaySettings(ingress="127.0.0.1:0", limits=GatewayLimits(connections=1))],
    indirect=True,
)
async def test_calls_and_tunnels_share_one_limit(house: House, hook_identity: Path, hellos: Hellos) -> None:
    await house.client.put(house.spec(hook=LABEL))
    async with conversation(house, hook_identity):
        mate = await house.knock()
        assert await house.tunnel(mate) == (502, "too-many")
        reader, writer = await call(house, None)
        writer.write(hellos.client_hello(NAME))
        assert await reader.read() == alert(Refusal.TOO_MANY)
        writer.transport.abort()
        await mate.close()


@pytest.mark.parametrize(
    "house",
    [GatewaySettings(ingress="127.0.0.1:0", limits=GatewayLimits(connections=2))],
    indirect=True,
)
@pytest.mark.parametrize("weakened", [False, True])
async def test_callers_cannot_keep_the_mate_from_its_messenger(
    house: House, hook_identity: Path, hellos: Hellos, monkeypatch: pytest.MonkeyPatch, *, weakened: bool
) -> None:
    if weakened:
        monkeypatch.setattr(door_module, "max", lambda _least, half: half + 1, raising=False)
    await house.client.put(house.spec(hook=LABEL))
    async with conversation(house, hook_identity):
        second, waiting = await park(house)
        reader, writer = await call(house, None)
        writer.write(hellos.client_hello(NAME))
        if weakened:
            assert await waiting == SWITCHING, "the last tunnel is a caller's"
        else:
            assert await reader.read() == alert(Refusal.TOO_MANY)
            assert await asked(house) == (504, "unreachable"), "the last tunnel is the mate's own: it is dialled"
            waiting.cancel()
            await asyncio.wait([waiting])
        writer.transport.abort()
        await second.close()


async def asked(house: House) -> tuple[int, str]:
    mate = await house.knock()
    try:
        return await house.tunnel(mate)
    finally:
        await mate.close()


@pytest.mark.parametrize("house", [GatewaySettings(ingress="127.0.0.1:0")], indirect=True)
async def test_no_control_on_this_host(house: House, hellos: Hellos) -> None:
    assert await TestRefused().say(house, hellos.client_hello("localhost")) == alert(Refusal.NAME_UNKNOWN)


async def test_without_ingress_nobody_calls(house: House) -> None:
    assert house.gateway.callers == ("", 0)
    assert (await house.client.status()).ingress is None
