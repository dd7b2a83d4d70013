"""The server end of a connection without TLS: a model on this host's own loopback, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.simulator.tls import Link, Session


class PlainWire(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, session: Callable[[], Session], everyone: set[Link]) -> None:
        self._session = session()
        self._everyone = everyone
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected; it speaks first."""
        self._transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)
        self._session.opened(self, "")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._everyone.discard(self)
        self._transport = None
        self._session.lost()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._session.paused(paused=True)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._session.paused(paused=False)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        self._session.received(data)

    def write(self, data: bytes) -> None:
        """Sends; raises ``ConnectionResetError`` when the client is gone."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)

    def close(self) -> None:
        """Ends the connection when all is written."""
        if self._transport is not None:
            self._transport.close()

    abort_after_writing = close

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()
