"""Connecting to an address that passed, and to no other."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clawmates.gateway.addresses import Address
    from clawmates.gateway.resolve import Endpoint

ATTEMPT_SECONDS = 3.0


class UnreachableError(Exception):
    """None of the addresses takes a connection."""


class Dialler(Protocol):
    """Opens TCP connections."""

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        """A connected socket to the first address that answers; raises :class:`UnreachableError`."""
        ...


class TcpDialler:
    """The machine's own TCP. It is given addresses, never names, so nothing is looked up between check and dial."""

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        """Tries one after another, each for at most :data:`ATTEMPT_SECONDS`."""
        for address in endpoint.addresses:
            sock = await _connect(address, endpoint.port)
            if sock is not None:
                return sock
        raise UnreachableError


async def _connect(address: Address, port: int) -> socket.socket | None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
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
