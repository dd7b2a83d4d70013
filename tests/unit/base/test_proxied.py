"""Connections that a relay introduces, over real sockets; what would be TLS is a protocol that notes what it gets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from clawmates.base.proxyheader import SIGNATURE, header
from clawmates.base.serving.proxied import Network, behind, trusted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HERE = (ip_network("127.0.0.0/8"),)
CALLER = ("192.0.2.1", 56292)
HEADER = header(CALLER, ("198.51.100.7", 443))
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@dataclass
class Front:
    port: int = 0
    callers: list[tuple[str, int] | None] = field(default_factory=list)

    async def said(self, *pieces: bytes, end: bool = True) -> bytes:
        """What somebody hears who sends these pieces, each in a packet of its own; nothing if they are cut off."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(5):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    for _ in range(3):
                        await asyncio.sleep(0)
                if end:
                    writer.write_eof()
                return await reader.read()
        except OSError:
            return b""
        finally:
            writer.transport.abort()


@asynccontextmanager
async def front(relays: Sequence[Network] = HERE, most: int = 9, seconds: float = 5) -> AsyncIterator[Front]:
    """Answers everybody who was introduced with all that came behind the header."""
    made = Front()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    def tls(*, origin: tuple[str, int] | None) -> asyncio.Protocol:
        made.callers.append(origin)
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo)

    server = await asyncio.get_running_loop().create_server(behind(relays, tls, most, seconds), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def test_what_follows_the_header_is_whole_however_it_arrives() -> None:
    async with front() as one:
        assert await one.said(HEADER + b"hello") == b"hello"
        assert await one.said(*(bytes([byte]) for byte in HEADER + b"hello")) == b"hello"
        assert await one.said(HEADER[:20], HEADER[20:], b"hel", b"lo") == b"hello"
        assert await one.said(LOCAL + b"hello") == b"hello"
        assert one.callers == [CALLER, CALLER, CALLER, None]


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x00\x05hello", b"PROXY TCP4 192.0.2.1 ", HEADER[:-1], b""])
async def test_who_is_not_introduced_is_not_heard(first: bytes) -> None:
    async with front() as one:
        assert await one.said(first) == b""
        assert one.callers == []


async def test_who_is_no_relay_introduces_nobody() -> None:
    async with front([ip_network("127.0.0.2"), ip_network("10.0.0.0/24")]) as one:
        assert await one.said(HEADER + b"hello") == b""
        assert one.callers == []


async def test_a_slow_relay_is_cut_off_and_makes_room() -> None:
    async with front(most=1, seconds=0.05) as one:
        assert await one.said(HEADER[:7], end=False) == b""
        assert await one.said(HEADER + b"hello") == b"hello"
    async with front(most=1, seconds=60) as one:
        _, held = await asyncio.open_connection("127.0.0.1", one.port)
        held.write(HEADER[:7])
        assert await one.said(HEADER + b"hello") == b"", "one at a time"
        held.transport.abort()
        async with asyncio.timeout(5):
            while await one.said(HEADER + b"hello") != b"hello":
                pass


@pytest.mark.parametrize(
    ("peer", "may"),
    [
        (("127.0.0.1", 1), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
        (("fe80::1%lo", 1, 0, 1), False),
        (("10.0.0.7", 1), False),
        ("", False),
        (None, False),
    ],
)
def test_relays_are_known_by_their_address(peer: object, may: bool) -> None:  # noqa: FBT001
    assert trusted(peer, HERE) is may
