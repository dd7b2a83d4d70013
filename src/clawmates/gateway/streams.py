"""Asyncio streams that read in small pieces and can hand their connection to another protocol.

asyncio's own stream protocol reads up to 256 KiB at a time whatever its limit. These read at most :data:`PIECE`
bytes, into one buffer that all connections of the process share.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PIECE = 16 * 1024
LIMIT = 8 * 1024
"""A reader pauses its transport above twice this, so it holds at most 2 * LIMIT + PIECE bytes."""
_SCRATCH = memoryview(bytearray(PIECE))


class Reader(asyncio.StreamReader):
    """A stream reader that remembers whether the other side has ended."""

    ended = False

    def feed_eof(self) -> None:
        """Called by the protocol."""
        self.ended = True
        super().feed_eof()


class StreamEdge(asyncio.StreamReaderProtocol, asyncio.BufferedProtocol):
    """Feeds a :class:`Reader`; ``connected`` is called with the streams of an accepted connection."""

    def __init__(
        self,
        reader: Reader,
        connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None] | None = None,
    ) -> None:
        super().__init__(reader, connected)
        self._source = reader

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """Where the next bytes go."""
        return _SCRATCH

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        self._source.feed_data(bytes(_SCRATCH[:nbytes]))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a tunnel while it is still being checked."""

    reader: Reader
    writer: asyncio.StreamWriter

    @property
    def transport(self) -> asyncio.Transport:
        """The connection itself."""
        return cast(asyncio.Transport, self.writer.transport)

    async def read(self) -> bytes:
        """The next bytes; empty at the end. Raises ``OSError``."""
        return await self.reader.read(PIECE)

    async def write(self, data: bytes) -> None:
        """Sends. Raises ``OSError``."""
        self.writer.write(data)
        await self.writer.drain()

    async def hand_over(self, protocol: asyncio.BufferedProtocol) -> bytes:
        """Gives the paused transport to ``protocol``; returns what had already been read. Raises ``OSError``.

        Nothing may be waiting to be sent (:meth:`write` has returned), or the new protocol would not know that the
        transport's buffer is full.
        """
        transport = self.transport
        if transport.is_closing():
            raise ConnectionResetError
        transport.pause_reading()
        transport.set_protocol(protocol)
        ended = self.reader.ended
        self.reader.feed_eof()  # so that the next line ends; no byte can come in between
        rest = await self.reader.read()
        transport.pause_reading()  # reading may have resumed it
        self.reader.ended = ended
        return rest


async def open_side(sock: socket.socket) -> Side:
    """Streams over a connected socket, which they own from here on. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    reader = Reader(LIMIT)
    protocol = StreamEdge(reader)
    try:
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    except BaseException:
        sock.close()
        raise
    return Side(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
