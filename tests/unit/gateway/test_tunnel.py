from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import GatewayLimits, SettingsError
from clawmates.gateway import tunnel
from clawmates.gateway.decision import ALLOW
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.unit.gateway.conftest import Hellos, House

    from clawmates.base.http.client import Connection

HOST = "api.telegram.org"
TARGET = f"{HOST}:443"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@asynccontextmanager
async def stand_in(house: House, context: ssl.SSLContext | None) -> AsyncIterator[list[bytes]]:
    """Echoes; what it received is in the list."""
    received: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.append(data)
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    house.dialler.port = server.sockets[0].getsockname()[1]
    try:
        yield received
    finally:
        server.close()


@asynccontextmanager
async def raw_stand_in(house: House, answer: bytes) -> AsyncIterator[list[bytes]]:
    """Answers the first bytes with ``answer``, whatever they are."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65536))
        writer.write(answer)
        while data := await reader.read(65536):
            received.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    house.dialler.port = server.sockets[0].getsockname()[1]
    try:
        yield received
    finally:
        server.close()


@pytest.fixture
async def mate(house: House) -> AsyncIterator[Connection]:
    await house.client.put(house.spec())
    connection = await house.knock()
    yield connection
    await connection.close()


def trusting(hellos: Hellos, newest: ssl.TLSVersion = V13) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(hellos.folder / "authority.pem"))
    context.minimum_version, context.maximum_version = V12, newest
    return context


async def upgrade(mate: Connection, context: ssl.SSLContext, name: str = HOST) -> None:
    await mate.writer.start_tls(context, server_hostname=name)


async def closed(mate: Connection) -> bool:
    async with asyncio.timeout(5):
        return await mate.reader.read(100) == b""


class TestGood:
    async def test_tls_13_end_to_end(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with stand_in(house, hellos.server_context()) as received:
            assert await house.tunnel(mate) == (200, "")
            await upgrade(mate, trusting(hellos))
            assert mate.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            mate.writer.write(b"hello")
            assert await mate.reader.readexactly(5) == b"hello"
            assert received == [b"hello"]
        assert house.resolver.asked == [HOST]
        assert [(str(one.addresses[0]), one.port) for one in house.dialler.dialled] == [("149.154.167.220", 443)]

    async def test_counted(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with stand_in(house, hellos.server_context()):
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            status = await house.client.status()
            assert (status.doors[0].tunnels, status.doors[0].refused) == (1, 0)
            flow = status.flows[0]
            assert (flow.bot, flow.host, flow.connections) == ("bot-1", HOST, 1)
            assert flow.bytes_out > 300
            assert flow.bytes_in > 500

    async def test_hello_retry_request(self, house: House, mate: Connection, hellos: Hellos) -> None:
        context = hellos.server_context()
        context.set_ecdh_curve("secp384r1")
        async with stand_in(house, context) as received:
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            mate.writer.write(b"hello")
            assert await mate.reader.readexactly(5) == b"hello"
            assert received == [b"hello"]

    async def test_slow_sender_is_understood(self, house: House, mate: Connection, hellos: Hellos) -> None:
        hello = hellos.client_hello()
        async with raw_stand_in(house, hellos.server_hello(hello)) as received:
            await house.tunnel(mate)
            for at in range(len(hello)):
                mate.writer.write(hello[at : at + 1])
                await mate.writer.drain()
                await asyncio.sleep(0)
            assert (await mate.reader.read(1))[0] == 22
            assert received == [hello]

    async def test_what_comes_with_the_connect_is_not_lost(
        self, house: House, mate: Connection, hellos: Hellos
    ) -> None:
        hello = hellos.client_hello()
        async with raw_stand_in(house, hellos.server_hello(hello)) as received:
            mate.writer.write(b"CONNECT " + TARGET.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n" + hello)
            assert (await mate.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert (await mate.reader.read(1))[0] == 22
            assert received == [hello]


class TestRefusedBeforeAnything:
    async def test_unlisted_host_costs_no_lookup(self, house: House, mate: Connection) -> None:
        assert await house.tunnel(mate, "evil.example:443") == (403, "host-not-listed")
        assert (house.resolver.asked, house.dialler.dialled) == ([], [])
        assert await house.refusals() == {Refusal.HOST_NOT_LISTED: 1}

    async def test_weakened_list_would_look_it_up(
        self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tunnel, "decide_target", lambda target, listed: ALLOW)
        assert await house.tunnel(mate, "evil.example:443") == (502, "name-unknown")
        assert house.resolver.asked == ["evil.example"]

    @pytest.mark.parametrize(
        ("target", "code"),
        [
            (f"{HOST}:80", "port-not-allowed"),
            ("127.0.0.1:443", "malformed-target"),
            ("2130706433:443", "malformed-target"),
            ("[::1]:443", "malformed-target"),
            (f"{HOST}.:443", "malformed-target"),
            ("ollama:443", "host-not-listed"),
        ],
    )
    async def test_others(self, house: House, mate: Connection, target: str, code: str) -> None:
        assert await house.tunnel(mate, target) == (403, code)
        assert (house.resolver.asked, house.dialler.dialled) == ([], [])

    async def test_refused_connection_can_be_used_again(self, house: House, mate: Connection) -> None:
        for _ in range(3):
            assert await house.tunnel(mate, "evil.example:443") == (403, "host-not-listed")
        assert await house.refusals() == {Refusal.HOST_NOT_LISTED: 3}


class TestRefusedAfterTheLookup:
    @pytest.mark.parametrize("bad", [("10.0.0.1",), ("149.154.167.220", "127.0.0.1"), ("169.254.169.254",)])
    async def test_forbidden_address_costs_one_lookup_and_no_connection(
        self, house: House, mate: Connection, bad: tuple[str, ...]
    ) -> None:
        house.resolver.names = {HOST: tuple(IPv4Address(one) for one in bad)}
        assert await house.tunnel(mate) == (403, "address-forbidden")
        assert (house.resolver.asked, house.dialler.dialled) == ([HOST], [])

    async def test_weakened_check_would_dial_it(
        self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tunnel, "decide_addresses", lambda addresses: ALLOW)
        house.resolver.names = {HOST: (IPv4Address("10.0.0.1"),)}
        await house.tunnel(mate)
        assert str(house.dialler.dialled[0].addresses[0]) == "10.0.0.1"

    async def test_unknown_name(self, house: House, mate: Connection) -> None:
        house.resolver.names = {}
        assert await house.tunnel(mate) == (502, "name-unknown")

    async def test_nobody_there(self, house: House, mate: Connection) -> None:
        assert await house.tunnel(mate) == (504, "unreachable")
        assert await house.refusals() == {Refusal.UNREACHABLE: 1}

    async def test_slow_resolver(self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tunnel, "LOOKUP_SECONDS", 0.02)
        monkeypatch.setattr(house.resolver.__class__, "lookup", never)
        assert await house.tunnel(mate) == (502, "name-unknown")

    async def test_slow_server(self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tunnel, "DIAL_SECONDS", 0.02)
        monkeypatch.setattr(house.dialler.__class__, "dial", never)
        assert await house.tunnel(mate) == (504, "unreachable")


async def never(*_: object) -> None:
    await asyncio.Event().wait()


class TestCutOnTheWire:
    """After the 200 the mate sees nothing but the end; the reason is in the status."""

    @pytest.mark.parametrize(
        ("first", "reason"),
        [
            (lambda hellos: hellos.client_hello(newest=V12), Refusal.TLS_TOO_OLD),
            (lambda hellos: hellos.client_hello("vault"), Refusal.SNI_MISMATCH),
            (lambda hellos: hellos.client_hello(""), Refusal.SNI_MISMATCH),
            (lambda hellos: b"GET / HTTP/1.1\r\n\r\n", Refusal.NOT_TLS),
            (lambda hellos: b"", Refusal.NOT_TLS),
        ],
        ids=["1.2", "other name", "no name", "plaintext", "silence"],
    )
    async def test_client(
        self, house: House, mate: Connection, hellos: Hellos, first: Callable[[Hellos], bytes], reason: Refusal
    ) -> None:
        async with raw_stand_in(house, b"") as received:
            assert await house.tunnel(mate) == (200, "")
            mate.writer.write(first(hellos))
            mate.writer.write_eof()
            assert await closed(mate)
            assert await house.refusals() == {reason: 1}
            assert b"".join(received) == b"", "not a byte went out"

    async def test_weakened_rule_would_let_plaintext_out(
        self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def blind(*_: object) -> object:
            return ALLOW

        monkeypatch.setattr(tunnel, "shake_hands", blind)
        async with raw_stand_in(house, b"answer") as received:
            await house.tunnel(mate)
            mate.writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await mate.reader.read(100) == b"answer"
            assert received[0].startswith(b"GET /")

    async def test_server_that_selects_12(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with stand_in(house, hellos.server_context(newest=V12)) as received:
            assert await house.tunnel(mate) == (200, "")
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await upgrade(mate, trusting(hellos))
            assert received == []
            assert await house.refusals() == {Refusal.TLS_TOO_OLD: 1}

    async def test_weakened_server_rule_would_let_12_through(
        self, house: House, mate: Connection, hellos: Hellos, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clawmates.gateway.hello.judge_server", lambda message, *, second: ALLOW)
        async with stand_in(house, hellos.server_context(newest=V12)):
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            assert mate.writer.get_extra_info("ssl_object").version() == "TLSv1.2"

    async def test_server_that_is_not_tls(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with raw_stand_in(house, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            await house.tunnel(mate)
            mate.writer.write(hellos.client_hello())
            assert await closed(mate)
            assert await house.refusals() == {Refusal.NOT_TLS: 1}

    async def test_silent_mate_and_silent_server(
        self, house: House, mate: Connection, hellos: Hellos, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tunnel, "HELLO_SECONDS", 0.02)
        async with raw_stand_in(house, b""):
            await house.tunnel(mate)
            assert await closed(mate)
            again = await house.knock()
            await house.tunnel(again)
            again.writer.write(hellos.client_hello())
            assert await closed(again)
            await again.close()
            assert await house.refusals() == {Refusal.NOT_TLS: 2}

    async def test_nothing_of_the_mate_goes_out_before_the_server_has_agreed(
        self, house: House, mate: Connection, hellos: Hellos
    ) -> None:
        hello = hellos.client_hello()
        async with raw_stand_in(house, hellos.server_hello(hello, newest=V12)) as received:
            await house.tunnel(mate)
            mate.writer.write(hello + b"what was to follow")
            assert await closed(mate)
            assert b"".join(received) == hello


class TestLimits:
    @pytest.mark.parametrize("house", [GatewaySettings(limits=GatewayLimits(connections=2))], indirect=True)
    async def test_too_many(self, house: House, hellos: Hellos) -> None:
        await house.client.put(house.spec())
        async with raw_stand_in(house, b""):
            mates = [await house.knock() for _ in range(3)]
            assert [await house.tunnel(one) for one in mates] == [(200, ""), (200, ""), (502, "too-many")]
            await mates[0].close()
            async with asyncio.timeout(5):
                while (await house.client.status()).doors[0].tunnels == 2:
                    pass
            assert await house.tunnel(mates[2]) == (200, "")
            for one in mates[1:]:
                await one.close()

    @pytest.mark.parametrize("house", [GatewaySettings(limits=GatewayLimits(idle_seconds=0.05))], indirect=True)
    async def test_idle(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with stand_in(house, hellos.server_context()):
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            assert await closed(mate)


class TestReserved:
    async def test_ollama_is_plaintext_and_never_resolved(self, house: House) -> None:
        await house.client.put(house.spec(hosts=("ollama",)))
        async with raw_stand_in(house, b"plain answer"):
            mate = await house.knock()
            assert await house.tunnel(mate, "ollama:443") == (200, "")
            mate.writer.write(b"plain question")
            assert await mate.reader.read(100) == b"plain answer"
            await mate.close()
        assert house.resolver.asked == []
        assert [(str(one.addresses[0]), one.port) for one in house.dialler.dialled] == [("127.0.0.1", 11434)]

    async def test_vault_is_checked_like_any_other(self, house: House, mate: Connection, hellos: Hellos) -> None:
        async with stand_in(house, hellos.server_context()):
            assert await house.tunnel(mate, "vault:443") == (200, "")
            await upgrade(mate, trusting(hellos), "vault")
            again = await house.knock()
            await house.tunnel(again, "vault:443")
            again.writer.write(b"plain question")
            assert await closed(again)
            await again.close()
        assert house.resolver.asked == []
        assert {(str(one.addresses[0]), one.port) for one in house.dialler.dialled} == {("127.0.0.1", 7441)}
        assert await house.refusals() == {Refusal.NOT_TLS: 1}

    async def test_vault_whose_port_is_not_known_yet(
        self, house: House, mate: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown(_settings: object) -> None:
            raise SettingsError("no port yet")

        monkeypatch.setattr("clawmates.gateway.resolve.vault_address", unknown)
        assert await house.tunnel(mate, "vault:443") == (504, "unreachable")


class TestChanges:
    async def test_host_taken_off_the_list_cuts_its_tunnels(
        self, house: House, mate: Connection, hellos: Hellos
    ) -> None:
        async with stand_in(house, hellos.server_context()):
            await house.tunnel(mate)
            await upgrade(mate, trusting(hellos))
            kept = await house.knock()
            await house.tunnel(kept, "vault:443")
            await upgrade(kept, trusting(hellos), "vault")
            await house.client.put(house.spec(hosts=("other.example",)))
            assert await closed(mate)
            kept.writer.write(b"still here")
            assert await kept.reader.readexactly(10) == b"still here"
            await kept.close()

    async def test_new_uid_range_cuts_the_old_container(self, house: House, mate: Connection) -> None:
        assert (await mate.request("GET", "/nothing")).status == 404
        await house.client.put(house.spec(uid_first=house.uid + 1))
        assert await closed(mate) or mate.reader.at_eof()
