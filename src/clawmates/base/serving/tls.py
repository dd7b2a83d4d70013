"""TLS that says why it hangs up.

asyncio (CPython 3.11 to 3.13) drops what OpenSSL has left to say when a handshake fails, so a client of TLS 1.2 sees a
reset instead of the ``protocol_version`` alert that RFC 8446, section 6.2 asks for. Here the last words are sent first.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

SHUTDOWN_SECONDS = 5


class Outspoken(SSLProtocol):
    """asyncio's own server end of TLS, made to flush its alert before it closes.

    It is in ``shaking`` while its handshake lasts; beyond ``most`` of them a connection is closed unread.
    """

    def __init__(
        self,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        shaking: set[Outspoken],
        most: int,
        handshake_seconds: int,
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            protocol,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for a server's handshake
            server_side=True,
            ssl_handshake_timeout=handshake_seconds,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._shaking, self._most = shaking, most

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake, if there is room for one more."""
        if len(self._shaking) >= self._most:
            cast(asyncio.Transport, transport).abort()
            return
        self._shaking.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Whoever hangs up in the middle makes room, too."""
        self._shaking.discard(self)
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        self._shaking.discard(self)
        if handshake_exc is not None:
            # The transport writes at once what fits, and a fresh connection has room for seven bytes.
            self._process_outgoing()  # type: ignore[attr-defined]  # typeshed leaves it out
        super()._on_handshake_complete(handshake_exc)


def over_tls(
    protocol: Callable[..., asyncio.Protocol], context: ssl.SSLContext, most_shaking: int, handshake_seconds: int
) -> Callable[..., Outspoken]:
    """A factory that puts TLS under what ``protocol`` makes; connections see ``context`` as it is when they come."""
    shaking: set[Outspoken] = set()

    def make(**arguments: Any) -> Outspoken:
        return Outspoken(protocol(**arguments), context, shaking, most_shaking, handshake_seconds)

    return make
