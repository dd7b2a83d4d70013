"""One listener's server, and the signals of a process that serves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from clawmates.base.serving.protocol import BoundedProtocol
from clawmates.base.serving.proxied import behind
from clawmates.base.serving.tls import over_tls
from clawmates.base.settings import address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterator

    from starlette.types import ASGIApp

    from clawmates.base.serving.limits import Callers, Limits
    from clawmates.base.serving.proxied import Network


class ListenError(Exception):
    """The address cannot be had; the text says which and why."""


class Server(uvicorn.Server):
    """Serves until ``stop``; ``started`` is called once it listens. Signals are the process's: see :func:`signals`."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop, self._started = stop, started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them to the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening and says so."""
        await super().startup(sockets)
        self._started()

    async def main_loop(self) -> None:
        """Waits for the end instead of looking for it ten times a second."""
        await self._stop.wait()


def build_server(
    app: ASGIApp,
    context: ssl.SSLContext,
    limits: Limits,
    callers: Callers,
    *,
    stop: asyncio.Event,
    started: Callable[[], None] = lambda: None,
    relays: Collection[Network] = (),
) -> Server:
    """A server for :meth:`uvicorn.Server.serve` with sockets of the caller; it sees ``context`` as it is by then.

    Where there are ``relays``, they alone may connect, and each connection begins with a PROXY header.
    """
    protocol = partial(BoundedProtocol, limits=limits, callers=callers)
    tls = over_tls(protocol, context, limits.max_shaking, limits.handshake_seconds)
    config = uvicorn.Config(
        app,
        loop="none",
        # uvicorn takes a class here and only calls it; TLS is put under it by hand, see clawmates.base.serving.tls.
        http=behind(relays, tls, limits.max_shaking, limits.handshake_seconds) if relays else tls,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.grace_seconds,
        h11_max_incomplete_event_size=limits.max_head,
    )
    return Server(config, stop, started)


@contextmanager
def signals(stop: asyncio.Event, reload: Callable[[], object]) -> Iterator[None]:
    """SIGTERM and SIGINT end the serving, not the process: it closes its files and exits 0. SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    handlers = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


def listen(where: str) -> socket.socket:
    """A listening socket at ``HOST:PORT``; raises :class:`ListenError`, or ``SettingsError`` for no address."""
    host, port = address(where)
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
        raise ListenError(f"cannot listen on {where}: {reason}") from None
