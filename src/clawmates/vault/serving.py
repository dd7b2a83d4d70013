"""uvicorn as the vault needs it: TLS 1.3, the peer's name in the scope, patience with nobody, and not a word logged."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from clawmates.base import notify
from clawmates.base.shape import encode_json
from clawmates.vault.identity import caller_of
from clawmates.vault.tls import over_tls
from clawmates.wire.names import ServiceName
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp
    from uvicorn.server import ServerState

HEAD_SECONDS = 10
MAX_HEAD = 16 * 1024
MAX_CONNECTIONS = 512
KEPT_FOR_SERVICES = 64
"""Of these, so many are for callers with a certificate: mates and strangers cannot keep node and control out."""
MAX_SHAKING = 256
"""Handshakes at a time; whoever stalls in one holds a descriptor, and is not yet among the connections."""
CONNECTION_SECONDS = 3600.0
"""A connection ends with the answer it gives then: its certificate was looked at when it began."""
KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 5
_MALFORMED = encode_json({"error": {"code": VaultRefusal.MALFORMED.value}})


class VaultProtocol(H11Protocol):
    """h11 with the caller's identity, and an end to those who never finish a request's head."""

    _head_timer: asyncio.TimerHandle | None = None
    _age_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself
        """Takes the caller's name from the handshake."""
        super().connection_made(transport)
        # asyncio does so only for sockets that say proto=6, and those of socket.create_server say 0; without
        # it every answer (head and body are two writes) waits 40 ms for the other side's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        caller = caller_of(tls.getpeercert() if tls else None)
        self.app_state = self.app_state | {"caller": caller}
        room = MAX_CONNECTIONS if isinstance(caller, ServiceName) else MAX_CONNECTIONS - KEPT_FOR_SERVICES
        if len(self.connections) > room:
            transport.abort()
            return
        self._age_timer = self.loop.call_later(CONNECTION_SECONDS, self.shutdown)
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
        head = h11.Response(
            status_code=400,
            headers=[
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(_MALFORMED))),
                ("Connection", "close"),
            ],
        )
        try:
            for event in (head, h11.Data(data=_MALFORMED), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            self._cut()
        else:
            self.transport.close()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._cut)

    def _cut(self) -> None:
        # CPython 3.11 forgets its SSL protocol at a second close, and abort() then fails on it.
        if not self.transport.is_closing():
            self.transport.abort()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class VaultServer(uvicorn.Server):
    """Serves until a signal, reloads its certificate on SIGHUP, and tells the supervisor when it is ready."""

    def __init__(self, config: uvicorn.Config, reload: Callable[[], object]) -> None:
        super().__init__(config)
        self._reload = reload
        self._stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the serving, not the process: it closes its files and exits 0."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._stop.set, signal.SIGINT: self._stop.set, signal.SIGHUP: self._reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening and says so."""
        await super().startup(sockets)
        listening = [sock.getsockname()[:2] for sock in sockets or ()]
        notify.ready(" ".join(f"{host}:{port}" for host, port in listening))

    async def main_loop(self) -> None:
        """Waits for the end instead of looking for it ten times a second."""
        await self._stop.wait()


def build_server(app: ASGIApp, context: ssl.SSLContext, reload: Callable[[], object]) -> VaultServer:
    """A server for :meth:`uvicorn.Server.serve` with sockets of the caller."""
    config = uvicorn.Config(
        app,
        loop="none",
        # uvicorn takes a class here and only calls it; TLS is put under it by hand, see clawmates.vault.tls.
        http=over_tls(VaultProtocol, context, MAX_SHAKING),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    return VaultServer(config, reload)
