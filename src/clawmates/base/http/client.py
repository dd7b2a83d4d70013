"""One HTTP/1.1 connection as its client.

No redirects, no proxies, no cookies, no environment: a request goes where the caller connected. Bodies are
bounded in size; time is bounded by the caller (``asyncio.timeout``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

CHUNK = 16 * 1024
SWITCHING = 101
"""The answer to an accepted ``Upgrade``; the raw bytes follow it."""


class HttpError(Exception):
    """The exchange failed; nothing of the request is in the text."""


class ConnectFailedError(HttpError):
    """No connection could be made."""


class ClosedError(HttpError):
    """The other side closed before the response was complete."""


class TooLargeError(HttpError):
    """The response is larger than the caller allows."""


@dataclass(slots=True)
class Connection:
    """A kept-alive connection; one request at a time.

    ``reusable`` is true when the last response was read to its end and neither side asked to close.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str
    _state: h11.Connection

    @classmethod
    def over(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> Connection:
        """A connection over streams that are already open; ``host`` is what the Host header says."""
        return cls(reader, writer, host, h11.Connection(h11.CLIENT))

    @classmethod
    async def unix(cls, path: str, host: str = "door") -> Connection:
        """Connects to a unix socket; raises :class:`ConnectFailedError`."""
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError:
            raise ConnectFailedError from None
        return cls.over(reader, writer, host)

    @classmethod
    async def tcp(cls, host: str, port: int, *, tls: ssl.SSLContext | None, server_name: str = "") -> Connection:
        """Connects by TCP, with TLS where a context is given; raises :class:`ConnectFailedError`."""
        try:
            reader, writer = await asyncio.open_connection(
                host, port, ssl=tls, server_hostname=(server_name or host) if tls else None
            )
        except OSError:
            raise ConnectFailedError from None
        return cls.over(reader, writer, server_name or host)

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._state.our_state is h11.IDLE and not self.reader.at_eof() and not self.writer.is_closing()

    async def request(
        self, method: str, target: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Response:
        """Sends one request and returns when the response's head has arrived.

        Raises :class:`ClosedError` or :class:`HttpError`.
        """
        head = [("Host", self.host), ("Accept-Encoding", "identity"), *headers]
        if body or method not in {"GET", "CONNECT", "DELETE"}:
            head.append(("Content-Length", str(len(body))))
        try:
            out = self._state.send(h11.Request(method=method, target=target, headers=head)) or b""
            if body:
                out += self._state.send(h11.Data(data=body)) or b""
            out += self._state.send(h11.EndOfMessage()) or b""
            self.writer.write(out)
            await self.writer.drain()
            return await self._head()
        except OSError:
            raise ClosedError from None
        except h11.LocalProtocolError:
            raise HttpError from None

    async def _head(self) -> Response:
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return Response(self, event.status_code, dict(event.headers))
            if not isinstance(event, h11.InformationalResponse):
                raise ClosedError
            if event.status_code == SWITCHING:
                return Response(self, event.status_code, dict(event.headers))

    async def _next(self) -> object:
        """The next event; raises :class:`ClosedError` at an early end, :class:`HttpError` for nonsense."""
        try:
            while (event := self._state.next_event()) is h11.NEED_DATA:
                self._state.receive_data(await self.reader.read(CHUNK))
        except OSError:  # ssl.SSLError is one
            raise ClosedError from None
        except h11.RemoteProtocolError:
            raise (ClosedError if self._state.trailing_data[1] else HttpError) from None
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the response body as they arrive; the connection is ready again after the last."""
        try:
            while not isinstance(event := await self._next(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    raise ClosedError
                yield bytes(event.data)
        except HttpError:
            raise ClosedError from None
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()

    def leftover(self) -> bytes:
        """Bytes that arrived behind the head of an accepted CONNECT or upgrade."""
        return self._state.trailing_data[0]

    async def close(self) -> None:
        """Closes without waiting for the other side's goodbye."""
        # CPython 3.11 forgets its SSL protocol at a second close, and abort() then fails on it.
        if not self.writer.is_closing():
            self.writer.close()
        try:
            async with asyncio.timeout(1):
                await self.writer.wait_closed()
        except OSError:
            return
        finally:
            self.writer.transport.abort()


@dataclass(slots=True)
class Response:
    """A response whose body is still on the wire."""

    connection: Connection
    status: int
    headers: dict[bytes, bytes]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        return self.connection.body()

    async def read(self, limit: int) -> bytes:
        """The whole body; raises :class:`TooLargeError` past ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.connection.body():
            size += len(chunk)
            if size > limit:
                raise TooLargeError
            parts.append(chunk)
        return b"".join(parts)
