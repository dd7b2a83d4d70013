"""Connections that a relay introduces: its PROXY header is read first, and TLS begins with the byte behind it."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, cast

from clawmates.base.proxyheader import MOST, NotIntroducedError, caller_in, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from clawmates.base.proxyheader import Address

    Tls = Callable[[Address | None], asyncio.BaseProtocol]

Network = IPv4Network | IPv6Network


def trusted(peer: object, relays: Collection[Network]) -> bool:
    """Whether a connection's other end (``peername``) may say whom it speaks for: what is no IP address may not."""
    try:
        found = ip_address(str(cast(tuple[str, int], peer)[0]).partition("%")[0])
    except (ValueError, LookupError, TypeError):
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in relay for relay in relays)


class Introduced(asyncio.BufferedProtocol):
    """Reads a header to its last byte and not further, then gives the connection to what ``tls`` makes of its caller.

    A buffered protocol chooses how much is read at once, so no byte of TLS ever lies here. Who is no relay, sends
    anything else or takes longer than ``seconds`` is cut off unheard.
    """

    def __init__(
        self, relays: Collection[Network], tls: Tls, waiting: set[Introduced], most: int, seconds: float
    ) -> None:
        self._relays, self._tls = relays, tls
        self._waiting, self._most, self._seconds = waiting, most, seconds
        self._buffer = memoryview(bytearray(MOST))
        self._read = 0
        self._wanted = missing(b"")
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the header, if it is a relay's and there is room for one more."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._waiting) >= self._most or not trusted(transport.get_extra_info("peername"), self._relays):
            self._transport.abort()
            return
        self._waiting.add(self)
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Makes room."""
        self._leave()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """As many bytes as the header still has for certain."""
        return self._buffer[self._read : self._read + self._wanted]

    def buffer_updated(self, nbytes: int) -> None:
        """Looks at them."""
        self._read += nbytes
        got = bytes(self._buffer[: self._read])
        try:
            self._wanted = missing(got)
        except NotIntroducedError:
            self._transport.abort()
            return
        if not self._wanted:
            self._leave()
            tls = self._tls(caller_in(got))
            self._transport.set_protocol(tls)
            tls.connection_made(self._transport)

    def _leave(self) -> None:
        self._waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def behind(
    relays: Collection[Network], tls: Callable[..., asyncio.BaseProtocol], most: int, seconds: float
) -> Callable[..., Introduced]:
    """A factory that has a header read before what ``tls`` makes: it is given the caller as ``origin``."""
    waiting: set[Introduced] = set()

    def make(**arguments: Any) -> Introduced:
        return Introduced(relays, lambda origin: tls(**arguments, origin=origin), waiting, most, seconds)

    return make
