"""HTTPS requests through the door, with connections kept warm between two messages."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.http.client import ClosedError, Connection, Response
from clawmates.mate.door import Door

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


WARM_SECONDS = 45.0
WARM_CONNECTIONS = 2


@dataclass(slots=True)
class Web:
    """One pool for one mate. The caller bounds time; nothing is retried but a request on a stale connection."""

    door: Door
    tls: ssl.SSLContext
    _warm: dict[str, list[tuple[Connection, float]]] = field(default_factory=dict)

    @asynccontextmanager
    async def request(
        self, method: str, host: str, target: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> AsyncIterator[Response]:
        """A response whose body is read inside the block; a block left early closes the connection.

        Raises :class:`~clawmates.mate.errors.DoorError` or :class:`~clawmates.base.http.client.HttpError`.
        """
        response = await self._send(method, host, target, headers, body)
        connection = response.connection
        try:
            yield response
        finally:
            self._put_back(host, connection)

    async def warm_up(self, host: str) -> None:
        """Opens a connection for the next request, where none is waiting."""
        if not self._warm.get(host):
            self._put_back(host, await self.door.tunnel(host, self.tls))

    def forget_idle(self) -> None:
        """Closes connections that nobody has used for a while."""
        now = asyncio.get_running_loop().time()
        for host, waiting in list(self._warm.items()):
            fresh = [(connection, since) for connection, since in waiting if now - since < WARM_SECONDS]
            for connection, since in waiting:
                if now - since >= WARM_SECONDS:
                    connection.writer.close()
            self._warm[host] = fresh

    async def _send(
        self, method: str, host: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Response:
        while (waiting := self._take(host)) is not None:
            try:
                return await waiting.request(method, target, headers=headers, body=body)
            except ClosedError:
                waiting.writer.transport.abort()
            except BaseException:
                waiting.writer.transport.abort()
                raise
        fresh = await self.door.tunnel(host, self.tls)
        try:
            return await fresh.request(method, target, headers=headers, body=body)
        except BaseException:
            fresh.writer.transport.abort()
            raise

    def _take(self, host: str) -> Connection | None:
        waiting = self._warm.get(host, [])
        while waiting:
            connection, _since = waiting.pop()
            if connection.reusable:
                return connection
            connection.writer.transport.abort()
        return None

    def _put_back(self, host: str, connection: Connection) -> None:
        waiting = self._warm.setdefault(host, [])
        if connection.reusable and len(waiting) < WARM_CONNECTIONS:
            waiting.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.writer.transport.abort()
