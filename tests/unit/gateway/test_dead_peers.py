"""Who has died is not waited for: its connection is free at once, and what it said before is still heard."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from tests.unit.gateway.test_tunnel import never

from clawmates.gateway import streams
from clawmates.gateway.streams import LIMIT, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.gateway.conftest import House

    from clawmates.base.http.client import Connection


def connections(house: House) -> int:
    """Served by the bot's door now."""
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    return names.count("listen.<locals>.run")


async def fewer_than(count: int, house: House) -> None:
    async with asyncio.timeout(5):
        while connections(house) >= count:  # noqa: ASYNC110 - the loop turns once each time
            await asyncio.sleep(0)


async def long_poll(house: House) -> Connection:
    """A mate in the middle of its long poll."""
    mate = await house.knock()
    mate.writer.write(b"GET /config?after=1 HTTP/1.1\r\nHost: door\r\n\r\n")
    await house.call("GET", "/nothing")
    return mate


async def test_long_poll_of_a_dead_mate_ends_at_once(house: House) -> None:
    await house.client.put(house.spec())
    mate = await long_poll(house)
    before = connections(house)
    mate.writer.transport.abort()
    await fewer_than(before, house)


async def test_weakened_it_would_be_held(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "hung_up", lambda sock: False)
    await house.client.put(house.spec())
    mate = await long_poll(house)
    before = connections(house)
    mate.writer.transport.abort()
    for _ in range(10):
        await house.call("GET", "/nothing")
    assert connections(house) == before


async def test_half_closed_mate_still_gets_its_answer(house: House) -> None:
    await house.client.put(house.spec())
    mate = await long_poll(house)
    mate.writer.write_eof()
    await house.call("GET", "/nothing")
    await house.client.put(house.spec(revision=2))
    assert (await mate.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    await mate.close()


async def test_last_words_are_heard(house: House) -> None:
    await house.client.put(house.spec())
    mate = await house.knock()
    body = b'{"turn":"1","output_tokens":7}'
    head = b"POST /turn/end HTTP/1.1\r\nHost: door\r\nContent-Length: %d\r\n\r\n" % len(body)
    mate.writer.write(head + body)
    assert mate.writer.transport.get_write_buffer_size() == 0, "the kernel has it, and the mate may die"
    mate.writer.transport.abort()
    async with asyncio.timeout(5):
        while (await house.client.status()).doors[0].output_tokens != 7:
            pass


@pytest.mark.parametrize("slow", ["lookup", "dial"])
async def test_tunnel_that_was_not_open_yet_is_given_up(
    house: House, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr((house.resolver if slow == "lookup" else house.dialler).__class__, slow, never)
    await house.client.put(house.spec())
    mate = await house.knock()
    mate.writer.write(b"CONNECT api.telegram.org:443 HTTP/1.1\r\nHost: door\r\n\r\n")
    async with asyncio.timeout(5):
        while not (await house.client.status()).doors[0].tunnels:
            pass
        mate.writer.transport.abort()
        while (await house.client.status()).doors[0].tunnels:
            pass


class TestReader:
    async def test_peer_that_has_gone_before_is_not_waited_for(self) -> None:
        reader, task = Reader(LIMIT), asyncio.current_task()
        assert task is not None
        reader.lost()
        with pytest.raises(ConnectionResetError), reader.only_while_there(task):
            pass
        assert not task.cancelling()

    async def test_peer_that_goes_later_hurts_nobody(self) -> None:
        reader, task = Reader(LIMIT), asyncio.current_task()
        assert task is not None
        with reader.only_while_there(task):
            pass
        reader.lost()
        assert not task.cancelling()

    @pytest.mark.parametrize(
        ("end", "gone"),
        [(lambda sock: sock.close(), True), (lambda sock: sock.shutdown(socket.SHUT_WR), False)],
        ids=["closed", "half-closed"],
    )
    async def test_hung_up(self, end: Callable[[socket.socket], None], gone: bool) -> None:  # noqa: FBT001
        one, two = socket.socketpair()
        end(two)
        assert streams.hung_up(one) is gone
        one.close()
        two.close()

    async def test_over_tcp_nobody_can_tell(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
            server.accept()[0].close()
            assert not streams.hung_up(one)
