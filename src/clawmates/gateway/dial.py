"""Connecting to an address that passed, and to no other."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.gateway.addresses import Address
    from clawmates.gateway.resolve import Endpoint

ATTEMPT_SECONDS = 3.0
STAGGER_SECONDS = 0.25
"""The Connection Attempt Delay of RFC 8305 §5."""
MOST_ADDRESSES = 8
"""Whoever answers with more addresses does not get more connections out of us."""


class UnreachableError(Exception):
    """None of the addresses takes a connection."""


class Dialler(Protocol):
    """Opens TCP connections."""

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        """A connected socket to the first address that answers; raises :class:`UnreachableError`."""
        ...


def in_turn(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """The order to try: the families take turns, beginning with the first address's (RFC 8305 §4)."""
    first = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    pairs = chain.from_iterable(zip_longest(first, other))
    return tuple(address for address in pairs if address is not None)[:MOST_ADDRESSES]


class TcpDialler:
    """The machine's own TCP. It is given addresses, never names, so nothing is looked up between check and dial."""

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        """Happy eyeballs (RFC 8305): the next address joins the race when the last one has failed or takes long.

        Each has at most :data:`ATTEMPT_SECONDS`. The losers are closed, whoever wins and however it ends.
        """
        waiting = deque(in_turn(endpoint.addresses))
        race: list[asyncio.Task[socket.socket | None]] = []
        won: socket.socket | None = None
        try:
            while won is None:
                if waiting:
                    race.append(asyncio.create_task(_connect(waiting.popleft(), endpoint.port)))
                running = [attempt for attempt in race if not attempt.done()]
                if running:
                    patience = STAGGER_SECONDS if waiting else None
                    await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                won = next((sock for attempt in race if attempt.done() and (sock := attempt.result())), None)
                if won is None and not waiting and all(attempt.done() for attempt in race):
                    raise UnreachableError
            return won
        finally:
            await _close_losers(race, won)


async def _close_losers(race: list[asyncio.Task[socket.socket | None]], won: socket.socket | None) -> None:
    for attempt in race:
        attempt.cancel()
    for attempt in race:
        await asyncio.wait([attempt])
        sock = None if attempt.cancelled() else attempt.result()
        if sock is not None and sock is not won:
            sock.close()


async def _connect(address: Address, port: int) -> socket.socket | None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        # The protocol is named, because asyncio sets TCP_NODELAY only where it is: without it the first request behind
        # a handshake waits 40 ms for an acknowledgement.
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError:
        return None
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except (OSError, TimeoutError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock
