"""Asyncio streams that read in small pieces and can hand their connection to another protocol.

asyncio's own stream protocol reads up to 256 KiB at a time whatever its limit. These read at most :data:`PIECE`
bytes, into one buffer that all connections of the process share.
"""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 16 * 1024
LIMIT = 8 * 1024
"""A reader pauses its transport above twice this, so it holds at most 2 * LIMIT + PIECE bytes."""
_SCRATCH = memoryview(bytearray(PIECE))


class Reader(asyncio.StreamReader):
    """A stream reader that remembers whether the other side has ended, and says when it is gone altogether."""

    ended = False
    gone = False
    _tell: Callable[[], object] | None = None

    @contextmanager
    def only_while_there(self, task: asyncio.Task[object]) -> Iterator[None]:
        """Cancels ``task`` when its peer goes, so that nobody waits for the dead; raises ``OSError`` if it has gone.

        For waits that hold no half-done work: what a peer sent before it died is still heard.
        """
        if self.gone:
            raise ConnectionResetError
        self._tell = task.cancel
        try:
            yield
        finally:
            self._tell = None

    def lost(self) -> None:
        """Called by the protocol: the peer neither sends nor receives any more."""
        self.gone = True
        if self._tell is not None:
            self._tell()

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
        self._edge: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers whose end to look at."""
        self._edge = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """A broken connection is nobody's any more."""
        super().connection_lost(exc)
        self._source.lost()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """Where the next bytes go."""
        return _SCRATCH

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        self._source.feed_data(bytes(_SCRATCH[:nbytes]))
        # What is not encrypted does not lie about until something else is read.
        _SCRATCH[:nbytes] = bytes(nbytes)

    def eof_received(self) -> bool | None:
        """The peer sends no more; a killed one does not listen either."""
        keep = super().eof_received()
        if self._edge is not None and hung_up(self._edge.get_extra_info("socket")):
            self._source.lost()
        return keep


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


def hung_up(sock: socket.socket) -> bool:
    """Whether a unix socket's peer has closed both directions, as a killed mate has: poll(2), POLLHUP.

    Over TCP a closed and a half-closed peer look the same.
    """
    if sock.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
