"""h11 as our servers need it: the peer's name in the scope, patience with nobody, and not a word logged."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

    from clawmates.base.proxyheader import Address
    from clawmates.base.serving.limits import Callers, Limits


class BoundedProtocol(H11Protocol):
    """The caller's identity in ``scope["state"]["caller"]``, and an end to those who never finish a request's head.

    ``origin`` is whom a relay has named: ``scope["client"]`` then, and ``scope["state"]["introduced"]`` is true.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _age_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        callers: Callers,
        origin: Address | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._callers, self._origin = limits, callers, origin

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself
        """Takes the caller's name from the handshake."""
        super().connection_made(transport)
        # asyncio does so only for sockets that say proto=6, and those of socket.create_server say 0; without
        # it every answer (head and body are two writes) waits 40 ms for the other side's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        caller = self._callers.identify(tls.getpeercert() if tls else None)
        self.app_state = self.app_state | {"caller": caller, "introduced": self._origin is not None}
        self.client = self._origin or self.client
        limits = self._limits
        room = limits.max_connections - (0 if self._callers.known(caller) else limits.kept)
        if len(self.connections) > room:
            transport.abort()
            return
        self._age_timer = self.loop.call_later(limits.connection_seconds, self.shutdown)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Parses, and keeps the clock running while a head is incomplete."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        self._stop_head_timer()
        if self._age_timer is not None:
            self._age_timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words are dropped
        """Answers what is not HTTP in the one shape that errors have."""
        body = self._limits.malformed
        head = h11.Response(
            status_code=400,
            headers=[
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ],
        )
        try:
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            self._cut()
        else:
            self.transport.close()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._cut)

    def _cut(self) -> None:
        # CPython 3.11 forgets its SSL protocol at a second close, and abort() then fails on it.
        if not self.transport.is_closing():
            self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
