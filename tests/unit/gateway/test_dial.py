from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest

from clawmates.gateway import dial
from clawmates.gateway.dial import MOST_ADDRESSES, TcpDialler, UnreachableError, in_turn
from clawmates.gateway.listen import bind_tcp
from clawmates.gateway.resolve import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.gateway.addresses import Address

FOUR = [IPv4Address(f"192.0.2.{number}") for number in range(1, 20)]
SIX = [IPv6Address(f"2001:db8::{number}") for number in range(1, 20)]


class TestOrder:
    def test_families_take_turns_beginning_with_the_first(self) -> None:
        assert in_turn((SIX[0], SIX[1], FOUR[0])) == (SIX[0], FOUR[0], SIX[1])
        assert in_turn((FOUR[0], SIX[0], SIX[1], SIX[2])) == (FOUR[0], SIX[0], SIX[1], SIX[2])
        assert in_turn(()) == ()

    def test_bounded(self) -> None:
        assert len(in_turn((*SIX, *FOUR))) == MOST_ADDRESSES


@dataclass
class World:
    """What each address does when it is dialled: ``None`` is silence, an error fails, a socket connects."""

    does: dict[str, object]
    begun: list[str] = field(default_factory=list)
    socks: list[socket.socket] = field(default_factory=list)
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, sock: socket.socket, where: tuple[str, int]) -> None:
        self.begun.append(where[0])
        self.socks.append(sock)
        what = self.does[where[0]]
        if isinstance(what, Exception):
            raise what
        if isinstance(what, asyncio.Event):
            await what.wait()
        elif what is None:
            await self.silent.wait()

    def open(self) -> list[socket.socket]:
        return [sock for sock in self.socks if sock.fileno() >= 0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World({})

    async def sock_connect(_loop: object, sock: socket.socket, where: tuple[str, int]) -> None:
        await made.connect(sock, where)

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", sock_connect)
    yield made
    for sock in made.open():
        sock.close()


async def race(world: World, does: dict[str, object]) -> str:
    world.does = does
    addresses: tuple[Address, ...] = tuple(ip_address(text) for text in does)
    won = await TcpDialler().dial(Endpoint(addresses, 443))
    assert world.open() == [won], "the losers are closed"
    return world.begun[world.socks.index(won)]


class TestRace:
    async def test_failure_makes_room_for_the_next_at_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dial, "STAGGER_SECONDS", 3600.0)
        assert await race(world, {"2001:db8::1": OSError(), "192.0.2.1": True}) == "192.0.2.1"

    async def test_silence_is_overtaken(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dial, "STAGGER_SECONDS", 0.01)
        assert await race(world, {"2001:db8::1": None, "192.0.2.1": None, "2001:db8::2": True}) == "2001:db8::2"
        assert world.begun == ["2001:db8::1", "192.0.2.1", "2001:db8::2"]

    async def test_slow_first_one_may_still_win(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dial, "STAGGER_SECONDS", 0.01)
        first, wait = asyncio.Event(), World.connect

        async def connect(self: World, sock: socket.socket, where: tuple[str, int]) -> None:
            if where[0] == "192.0.2.1":
                first.set()
            await wait(self, sock, where)

        monkeypatch.setattr(World, "connect", connect)
        assert await race(world, {"2001:db8::1": first, "192.0.2.1": None}) == "2001:db8::1"

    async def test_quick_first_one_is_alone(self, world: World) -> None:
        assert await race(world, {"2001:db8::1": True, "192.0.2.1": True}) == "2001:db8::1"
        assert world.begun == ["2001:db8::1"]

    async def test_all_fail(self, world: World) -> None:
        world.does = {"2001:db8::1": OSError(), "192.0.2.1": OSError()}
        with pytest.raises(UnreachableError):
            await TcpDialler().dial(Endpoint((SIX[0], FOUR[0]), 443))
        assert world.open() == []

    async def test_no_address_at_all(self) -> None:
        with pytest.raises(UnreachableError):
            await TcpDialler().dial(Endpoint((), 443))

    async def test_cancelled_race_leaves_no_socket(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dial, "STAGGER_SECONDS", 0.001)
        world.does = {"2001:db8::1": None, "192.0.2.1": None}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(TcpDialler().dial(Endpoint((SIX[0], FOUR[0]), 443)), 0.05)
        assert len(world.socks) == 2
        assert world.open() == []

    async def test_two_that_answer_at_once_leave_one(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dial, "STAGGER_SECONDS", 0.001)
        both = asyncio.Event()
        world.does = {"2001:db8::1": both, "192.0.2.1": both}
        dialling = asyncio.create_task(TcpDialler().dial(Endpoint((SIX[0], FOUR[0]), 443)))
        async with asyncio.timeout(5):
            while len(world.begun) < 2:  # noqa: ASYNC110 - the loop turns once each time
                await asyncio.sleep(0)
        both.set()
        assert world.open() == [await dialling] or len(world.open()) == 1

    async def test_real_sockets(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            three = (IPv6Address("::1"), IPv4Address("127.0.0.2"), IPv4Address("127.0.0.1"))
            with await TcpDialler().dial(Endpoint(three, port)) as sock:
                assert sock.getpeername() == ("127.0.0.1", port)

    async def test_no_byte_waits_for_an_acknowledgement(self) -> None:
        """On either way in or out: behind a handshake that would be 40 ms."""
        loop = asyncio.get_running_loop()
        with bind_tcp("127.0.0.1", 0) as server:
            there = Endpoint((IPv4Address("127.0.0.1"),), server.getsockname()[1])
            accepting = asyncio.create_task(loop.sock_accept(server))
            for sock in (await TcpDialler().dial(there), (await accepting)[0]):
                transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=sock)
                delay = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                transport.abort()
                assert delay == 1
