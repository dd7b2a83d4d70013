"""The helper's side of the gateway's socket: ``NUMBER HOST`` in, ``NUMBER ADDRESS…`` out, a line each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from clawmates.resolver.upstream import UpstreamError
from clawmates.wire.names import check_host

if TYPE_CHECKING:
    from clawmates.resolver.message import Address

MOST_AT_ONCE = 64


class Lookup(Protocol):
    """Somebody to ask."""

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """Raises :class:`~clawmates.resolver.upstream.UpstreamError`."""
        ...


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: Lookup) -> None:
    """Answers until the gateway ends. A name without addresses, or without an answer, gets none."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def answer(number: str, host: str) -> None:
        try:
            addresses = await upstream.lookup(host)
        except UpstreamError:
            addresses = ()
        finally:
            room.release()
        writer.write(" ".join([number, *map(str, addresses)]).encode("ascii") + b"\n")

    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            number, _, host = line.decode("ascii").rstrip("\n").partition(" ")
            await room.acquire()
            group.create_task(answer(number, check_host(host)))
