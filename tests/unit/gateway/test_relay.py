from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from clawmates.base.settings import GatewayLimits
from clawmates.gateway import relay as relay_module
from clawmates.gateway import streams
from clawmates.gateway.bandwidth import READ_BYTES, Crowd, Share
from clawmates.gateway.relay import Relay
from clawmates.gateway.streams import LIMIT, PIECE, Side, open_side
from clawmates.gateway.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.unit.gateway.conftest import ManualClock

LIMITS = GatewayLimits()


def share(bytes_per_second: int = 0, crowd: Crowd | None = None) -> Share:
    return Share(bytes_per_second, crowd or Crowd(), time.monotonic)


@dataclass
class Rig:
    """A mate, the gateway's two sides, and a far server."""

    mate: socket.socket
    far: socket.socket
    sides: tuple[Side, Side]
    traffic: Traffic

    async def send(self, sock: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, data)

    async def receive(self, sock: socket.socket, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size and (piece := await asyncio.get_running_loop().sock_recv(sock, size - len(parts))):
            parts += piece
        return bytes(parts)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    mate, mate_side = socket.socketpair(socket.AF_UNIX)
    far, far_side = tcp_pair()
    for sock in (mate, mate_side, far, far_side):
        sock.settimeout(0)
    sides = (await open_side(mate_side), await open_side(far_side))
    try:
        yield Rig(mate, far, sides, Traffic())
    finally:
        for side in sides:
            side.transport.abort()
        mate.close()
        far.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def running(
    tested: Rig, limits: GatewayLimits = LIMITS, clock: ManualClock | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    now = clock.monotonic if clock else asyncio.get_running_loop().time
    task = asyncio.create_task(Relay(*tested.sides, tested.traffic, share(), now).run(limits))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a transport's state has no event; the loop turns once each time
        await asyncio.sleep(0)


async def test_bytes_both_ways_are_counted() -> None:
    async with rig() as tested, running(tested):
        await tested.send(tested.mate, b"question")
        assert await tested.receive(tested.far, 8) == b"question"
        await tested.send(tested.far, b"long answer")
        assert await tested.receive(tested.mate, 11) == b"long answer"
        assert (tested.traffic.bytes_out, tested.traffic.bytes_in) == (8, 11)


async def test_nothing_that_passed_stays_behind() -> None:
    """With a model on this host's own loopback it is not encrypted, and this process keeps no conversation."""
    async with rig() as tested, running(tested):
        await tested.send(tested.mate, b"question")
        assert await tested.receive(tested.far, 8) == b"question"
        await tested.send(tested.far, b"answer")
        assert await tested.receive(tested.mate, 6) == b"answer"
    for buffer in (relay_module._SCRATCH, streams._SCRATCH):
        assert bytes(buffer) == bytes(len(buffer))


async def test_what_was_read_before_comes_first_and_nothing_is_lost() -> None:
    async with rig() as tested:
        blob = os.urandom(150_000)
        sent = asyncio.create_task(tested.send(tested.mate, blob))
        first = await tested.sides[0].reader.readexactly(10)
        async with running(tested):
            assert first + await tested.receive(tested.far, len(blob) - 10) == blob
            await sent


async def test_before_the_verdict_little_is_held() -> None:
    async with rig() as tested:
        filled = 0
        with suppress(BlockingIOError):
            while True:
                filled += tested.mate.send(b"x" * 65536)
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert filled > 64 * 1024
        held = bytearray(vars(tested.sides[0].reader)["_buffer"])
        assert len(held) <= 2 * LIMIT + PIECE <= 64 * 1024


async def test_large_transfer_both_ways_at_once() -> None:
    blob, other = os.urandom(3_000_000), os.urandom(2_000_000)
    async with rig() as tested, running(tested), asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(tested.send(tested.mate, blob))
        group.create_task(tested.send(tested.far, other))
        out = group.create_task(tested.receive(tested.far, len(blob)))
        back = group.create_task(tested.receive(tested.mate, len(other)))
        assert await out == blob
        assert await back == other


async def test_slow_reader_holds_the_sender_back() -> None:
    async with rig() as tested, running(tested):
        blob = b"x" * 40_000_000
        sending = asyncio.create_task(tested.send(tested.mate, blob))
        far = tested.sides[1].transport
        async with asyncio.timeout(10):
            await until(lambda: not tested.sides[0].transport.is_reading())
        assert not sending.done()
        assert far.get_write_buffer_size() <= relay_module.HIGH_WATER + READ_BYTES
        assert len(await tested.receive(tested.far, 20_000_000)) == 20_000_000
        sending.cancel()


async def test_half_close_lets_the_answer_through() -> None:
    async with rig() as tested, running(tested) as task:
        await tested.send(tested.mate, b"all I have to say")
        tested.mate.shutdown(socket.SHUT_WR)
        assert await tested.receive(tested.far, 1000) == b"all I have to say"
        await tested.send(tested.far, b"answer")
        assert await tested.receive(tested.mate, 6) == b"answer"
        tested.far.close()
        await asyncio.wait_for(task, 5)


async def test_half_close_of_the_far_side() -> None:
    async with rig() as tested, running(tested) as task:
        tested.far.shutdown(socket.SHUT_WR)
        assert await tested.receive(tested.mate, 1) == b""
        await tested.send(tested.mate, b"late")
        assert await tested.receive(tested.far, 4) == b"late"
        tested.mate.close()
        await asyncio.wait_for(task, 5)


async def test_end_that_came_before_the_relay() -> None:
    async with rig() as tested:
        await tested.send(tested.mate, b"short")
        tested.mate.shutdown(socket.SHUT_WR)
        await until(lambda: tested.sides[0].reader.ended)
        async with running(tested):
            assert await tested.receive(tested.far, 100) == b"short"
            await tested.send(tested.far, b"answer")
            assert await tested.receive(tested.mate, 6) == b"answer"


async def test_killed_mate_closes_the_far_side_at_once() -> None:
    async with rig() as tested, running(tested) as task:
        await tested.send(tested.mate, b"last words")
        tested.mate.close()
        assert await tested.receive(tested.far, 100) == b"last words"
        await asyncio.wait_for(task, 5)
        assert await tested.receive(tested.far, 1) == b"", "both directions are closed"


async def test_reset_by_the_far_side_cuts_the_mate() -> None:
    async with rig() as tested, running(tested) as task:
        tested.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        tested.far.close()
        assert await tested.receive(tested.mate, 1) == b""
        await asyncio.wait_for(task, 5)


async def test_idle_tunnel_is_cut() -> None:
    async with rig() as tested, running(tested, GatewayLimits(idle_seconds=0.05)) as task:
        await asyncio.wait_for(task, 5)
        assert await tested.receive(tested.mate, 1) == b""
        assert await tested.receive(tested.far, 1) == b""


async def test_busy_tunnel_is_not_idle(clock: ManualClock) -> None:
    async with rig() as tested:
        relay = Relay(*tested.sides, tested.traffic, share(), clock.monotonic)
        clock.forward(LIMITS.idle_seconds - 1)
        relay.moved(1, outward=True)
        clock.forward(LIMITS.idle_seconds - 1)
        assert relay.left(LIMITS) == 1


async def test_total_time_is_bounded_however_busy(clock: ManualClock) -> None:
    async with rig() as tested:
        relay = Relay(*tested.sides, tested.traffic, share(), clock.monotonic)
        clock.forward(LIMITS.total_seconds - 1)
        relay.moved(1, outward=False)
        assert relay.left(LIMITS) == 1
        clock.forward(1)
        await relay.run(LIMITS)
        assert tested.sides[0].transport.is_closing()


async def test_half_closed_tunnel_waits_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "HALF_CLOSED_SECONDS", 0.05)
    async with rig() as tested, running(tested) as task:
        tested.mate.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(task, 5)
        assert await tested.receive(tested.mate, 1) == b""


async def test_connection_lost_before_the_hand_over() -> None:
    async with rig() as tested:
        tested.sides[1].transport.abort()
        with pytest.raises(ConnectionResetError):
            await Relay(*tested.sides, tested.traffic, share(), asyncio.get_running_loop().time).run(LIMITS)
        assert tested.sides[0].transport.is_closing()


async def test_streams_learn_of_the_end() -> None:
    async with rig() as tested:
        async with running(tested):
            await tested.send(tested.mate, b"x")
            await tested.receive(tested.far, 1)
        async with asyncio.timeout(5):
            for side in tested.sides:
                await side.writer.wait_closed()


async def test_bytes_for_a_side_that_is_gone_are_dropped() -> None:
    async with rig() as tested, running(tested) as task:
        await tested.send(tested.mate, b"x")
        await tested.receive(tested.far, 1)
        mate = tested.sides[0].transport.get_protocol()
        assert isinstance(mate, asyncio.BufferedProtocol)
        tested.sides[1].transport.abort()
        mate.buffer_updated(3)
        assert mate.eof_received()
        await asyncio.wait_for(task, 5)
        assert tested.traffic.bytes_out == 4


async def test_socket_that_cannot_be_used_is_closed() -> None:
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pytest.raises(ValueError, match="Stream Socket"):
        await open_side(datagram)
    assert datagram.fileno() == -1
