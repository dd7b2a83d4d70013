"""One DNS-over-TLS server (RFC 7858), its name checked (RFC 8310, strict), its connection kept while it is used."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.resolver.message import AAAA, A, MessageError, addresses_in, number_of, query

if TYPE_CHECKING:
    from clawmates.resolver.message import Address

ASK_SECONDS = 4.0
CONNECT_SECONDS = 3.0
IDLE_SECONDS = 20.0
MAX_ANSWER = 1 << 16


class UpstreamError(Exception):
    """The server does not answer, or not to what it was asked."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is and whose certificate it must show."""

    host: str
    port: int
    name: str


@dataclass(slots=True)
class Upstream:
    """Questions go out one after the other: a gateway asks rarely, and an order needs no bookkeeping."""

    server: Server
    tls: ssl.SSLContext
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _used: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """Every address of ``host``, IPv6 first, empty for a name without any. Raises :class:`UpstreamError`.

        A connection that the server has closed meanwhile is made anew once.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    kept = self._fresh()
                    try:
                        return await self._both(host)
                    except (OSError, EOFError):
                        if not kept:
                            raise
                        self.close()
                        return await self._both(host)
            except (OSError, EOFError, MessageError):  # TimeoutError and ssl.SSLError are OSErrors
                self.close()
                raise UpstreamError from None
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Forgets the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def _fresh(self) -> bool:
        """Whether there is a connection that was used lately."""
        if asyncio.get_running_loop().time() - self._used > IDLE_SECONDS:
            self.close()
        return self._streams is not None

    async def _both(self, host: str) -> tuple[Address, ...]:
        if self._streams is None:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._streams = await asyncio.open_connection(
                    self.server.host, self.server.port, ssl=self.tls, server_hostname=self.server.name
                )
        reader, writer = self._streams
        first = secrets.randbelow(1 << 15) * 2
        kinds = {first: AAAA, first + 1: A}
        for number, kind in kinds.items():
            question = query(number, host, kind)
            writer.write(len(question).to_bytes(2, "big") + question)
        await writer.drain()
        found: dict[int, tuple[Address, ...]] = {}
        while len(found) < len(kinds):
            message = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            asked = kinds.get(number_of(message))
            if asked is None or asked in found:
                raise MessageError
            found[asked] = addresses_in(message, host, asked)
        self._used = asyncio.get_running_loop().time()
        return found[AAAA] + found[A]
