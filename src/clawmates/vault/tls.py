"""TLS that says why it hangs up.

asyncio (CPython 3.11 to 3.13) drops what OpenSSL has left to say when a handshake fails, so a client of TLS 1.2 sees a
reset instead of the ``protocol_version`` alert that RFC 8446, section 6.2 asks for. Here the last words are sent first.
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

HANDSHAKE_SECONDS = 10
SHUTDOWN_SECONDS = 5


class Outspoken(SSLProtocol):
    """asyncio's own server end of TLS, made to flush its alert before it closes."""

    def __init__(self, protocol: asyncio.Protocol, context: ssl.SSLContext) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            protocol,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for a server's handshake
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            # The transport writes at once what fits, and a fresh connection has room for seven bytes.
            self._process_outgoing()  # type: ignore[attr-defined]  # typeshed leaves it out
        super()._on_handshake_complete(handshake_exc)


def over_tls(protocol: Callable[..., asyncio.Protocol], context: ssl.SSLContext) -> Callable[..., Outspoken]:
    """A factory that puts TLS under what ``protocol`` makes; connections see ``context`` as it is when they come."""

    def make(**arguments: Any) -> Outspoken:
        return Outspoken(protocol(**arguments), context)

    return make
