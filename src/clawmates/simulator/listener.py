"""A listening socket whose certificate and TLS version can be changed while it listens, or one without TLS."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from clawmates.simulator.certificates import pair, server_context
from clawmates.simulator.model import TlsMode
from clawmates.simulator.plain import PlainWire
from clawmates.simulator.tls import Wire
from clawmates.simulator.web import Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clawmates.base.clock import Clock
    from clawmates.base.x509 import Authority
    from clawmates.simulator.model import Service
    from clawmates.simulator.tls import Link
    from clawmates.simulator.web import Exchange, Nursery, Request

LOOPBACK = "127.0.0.1"
_BACKLOG = 1024


class Listener:
    """Accepts for one stand-in, on 127.0.0.1 unless another address is named."""

    def __init__(
        self,
        service: Service,
        handle: Callable[[Request, Exchange], Awaitable[None]],
        *,
        port: int,
        authority: Authority,
        tasks: Nursery,
        clock: Clock,
        address: str = LOOPBACK,
    ) -> None:
        """Binds at once, so that a port in use shows as ``OSError`` here; ``port`` 0 takes any."""
        self._service = service
        self._handle = handle
        self._authority = authority
        self._tasks = tasks
        self._clock = clock
        self._server: asyncio.Server | None = None
        self.connections: set[Link] = set()
        # The protocol must be named: asyncio sets TCP_NODELAY only then, and without it an answer takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((address, port))
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]

    async def show(self, mode: TlsMode) -> None:
        """New connections meet ``mode``; those that are open are cut, so that nobody stays in the old one.

        Raises ``ValueError`` for any mode but the good one where there is no TLS.
        """
        factory = self._factory(mode)
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.abort()
        # A copy of the socket each time: a server closes its own, the queue of the original stays.
        self._server = await asyncio.get_running_loop().create_server(
            factory, sock=self._socket.dup(), backlog=_BACKLOG
        )

    def _factory(self, mode: TlsMode) -> Callable[[], asyncio.Protocol]:
        def session() -> Connection:
            return Connection(self._handle, tasks=self._tasks, clock=self._clock.monotonic)

        if not self._service.encrypted:
            if mode is not TlsMode.GOOD:
                raise ValueError("this service has no TLS")
            return lambda: PlainWire(session, self.connections)
        context = server_context(pair(self._authority, self._service.host, mode, self._clock.now()), mode)
        return lambda: Wire(context, session, self.connections)

    def close(self) -> None:
        """Stops listening and closes what is open."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.close()
        self._socket.close()
