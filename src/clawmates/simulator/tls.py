"""The server end of TLS over an asyncio transport, by hand.

asyncio's own keeps 256 KiB for every connection, which 300 long-polling bots would pay for, and hangs up on a failed
handshake without the alert that real servers send (RFC 8446, section 6.2).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_READ = 64 * 1024


class Link(Protocol):
    """What a session may do with its connection."""

    def write(self, data: bytes) -> None:
        """Sends; raises ``ConnectionResetError`` when the client is gone."""
        ...

    def close(self) -> None:
        """Ends the connection as a good server does."""
        ...

    def abort_after_writing(self) -> None:
        """Ends the connection when all is written, without a goodbye."""
        ...

    def abort(self) -> None:
        """Ends the connection now."""
        ...


class Session(Protocol):
    """What lives above the wire."""

    def opened(self, wire: Link, version: str) -> None:
        """Bytes may flow; ``version`` is the TLS version, empty without TLS."""
        ...

    def received(self, data: bytes) -> None:
        """Plain bytes from the client."""
        ...

    def paused(self, *, paused: bool) -> None:
        """The client stopped, or began again, to read."""
        ...

    def lost(self) -> None:
        """The connection is gone; only after :meth:`opened`."""
        ...


class Wire(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, context: ssl.SSLContext, session: Callable[[], Session], everyone: set[Link]) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._create = session
        self._session: Session | None = None
        self._everyone = everyone
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected; it speaks first."""
        self._transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._everyone.discard(self)
        self._transport = None
        if self._session is not None:
            self._session.lost()

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._session is not None:
            self._session.paused(paused=True)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._session is not None:
            self._session.paused(paused=False)

    def data_received(self, data: bytes) -> None:
        """Handshake first, then records."""
        self._incoming.write(data)
        try:
            if self._session is None:
                self._tls.do_handshake()
                self._session = self._create()
                self._session.opened(self, self._tls.version() or "")
            while plain := self._tls.read(_READ):
                self._session.received(plain)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            # The alert that says why, then the end.
            self._flush()
            self.abort_after_writing()
        else:
            self.close()

    def write(self, data: bytes) -> None:
        """Encrypts and sends; raises ``ConnectionResetError`` when the client is gone."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._tls.write(data)
        self._flush()

    def close(self) -> None:
        """Says goodbye (``close_notify``) and ends the connection."""
        if self._session is not None:
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()
        self.abort_after_writing()

    def abort_after_writing(self) -> None:
        """Ends the connection when all is written, without a goodbye."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
