"""CONNECT: the chain of decisions from a target to an open tunnel.

target → allow-list → (DNS) → every address → dial → 200 → ClientHello → ServerHello → opaque bytes. The first denial
ends it, and nothing further down the chain has happened by then: no lookup for an unlisted host, no connection to a
forbidden address, no byte forwarded that is not TLS 1.3 for that host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from clawmates.base.http.server import Reply
from clawmates.base.settings import GatewayLimits, SettingsError
from clawmates.gateway.addresses import decide_addresses
from clawmates.gateway.bandwidth import Crowd, Share
from clawmates.gateway.decision import Decision, Verdict
from clawmates.gateway.dial import Dialler, UnreachableError
from clawmates.gateway.hello import client_reader, server_reader
from clawmates.gateway.lease import Lease
from clawmates.gateway.relay import Relay
from clawmates.gateway.resolve import Endpoint, FixedHosts, LookupFailedError, Resolver
from clawmates.gateway.streams import Reader, Side, open_side
from clawmates.gateway.target import Target, decide_target, parse_target
from clawmates.gateway.traffic import Traffic
from clawmates.wire.door import GONE, OLLAMA_HOST, PARK_PROTOCOL, PARK_READY, Refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection

    from clawmates.base.http.server import Stream
    from clawmates.gateway.parking import Call
    from clawmates.gateway.records import HelloReader

LOOKUP_SECONDS = 5.0
DIAL_SECONDS = 10.0
HELLO_SECONDS = 10.0
"""For one hello, from its first chance to its last byte."""
SHAKE_SECONDS = 30.0
"""For all of them, and for what has to be sent meanwhile."""
STATUS = {Refusal.NAME_UNKNOWN: 502, Refusal.UNREACHABLE: 504, Refusal.DRAINING: 502, Refusal.TOO_MANY: 502}
STATUS[Refusal.LEASE_ENDED] = GONE
"""HTTP status of a refusal; every other is 403."""


class DeniedError(Exception):
    """The chain ends here."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


def refuse(reason: Refusal) -> Reply:
    """What the mate is told before the tunnel stands."""
    return Reply.error(STATUS.get(reason, 403), reason.value)


@dataclass(frozen=True, slots=True)
class Outside:
    """All ways out of the gateway, and what bounds them."""

    resolver: Resolver
    fixed: FixedHosts
    dialler: Dialler
    limits: GatewayLimits
    now: Callable[[], float]
    """Monotonic seconds."""
    crowd: Crowd = field(default_factory=Crowd)

    def share(self) -> Share:
        """A new bot's part of the bandwidth."""
        return Share(self.limits.bytes_per_second, self.crowd, self.now)

    async def reach(self, target: Target) -> socket.socket:
        """A connection to a host that was decided upon; raises :class:`DeniedError`."""
        endpoint = await self._find(target)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                return await self.dialler.dial(endpoint)
        except (UnreachableError, TimeoutError):
            raise DeniedError(Refusal.UNREACHABLE) from None

    async def _find(self, target: Target) -> Endpoint:
        try:
            fixed = self.fixed.find(target.host)
        except SettingsError:
            raise DeniedError(Refusal.UNREACHABLE) from None
        if fixed is not None:
            return fixed
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                addresses = await self.resolver.lookup(target.host)
        except (LookupFailedError, TimeoutError):
            raise DeniedError(Refusal.NAME_UNKNOWN) from None
        enforce(decide_addresses(addresses))
        return Endpoint(addresses, target.port)


def decide(target: str, listed: Collection[str]) -> Target:
    """The part of the chain that needs nobody else; raises :class:`DeniedError`."""
    wanted = parse_target(target)
    if wanted is None:
        raise DeniedError(Refusal.MALFORMED_TARGET)
    enforce(decide_target(wanted, listed))
    return wanted


def enforce(decision: Decision) -> None:
    """Goes on after an ALLOW; raises :class:`DeniedError` otherwise."""
    if not decision.allowed:
        raise DeniedError(decision.reason or Refusal.NOT_TLS)


@dataclass(frozen=True, slots=True)
class Meter:
    """What a bot's bytes are counted on and measured by."""

    traffic: Traffic
    share: Share
    lease: Lease


async def carry(host: str, sock: socket.socket, stream: Stream, meter: Meter, outside: Outside) -> None:
    """Says 200 and relays until the tunnel is over; raises :class:`DeniedError` when the wire is not TLS 1.3.

    Raises ``OSError`` when a side breaks or stalls before that. Owns ``sock`` and the stream's connection.
    """
    far = await open_side(sock)
    # The door accepts with this very reader: clawmates.gateway.listen.
    mate = Side(cast(Reader, stream.reader), stream.writer)
    traffic = meter.traffic
    try:
        traffic.connections += 1
        early = stream.accept()
        async with asyncio.timeout(SHAKE_SECONDS):
            if host == OLLAMA_HOST:
                await _forward(far, early, traffic, outward=True)
            else:
                enforce(await shake_hands(host, mate, far, early, traffic))
            await mate.writer.drain()
        await Relay(mate, far, traffic, meter.share, outside.now, meter.lease).run(outside.limits)
    finally:
        far.transport.abort()
        mate.transport.abort()


async def answer(call: Call, stream: Stream, meter: Meter, outside: Outside) -> None:
    """Hands a caller to the mate that parked ``stream``, until it is over; errors as in :func:`carry`."""
    mate = Side(cast(Reader, stream.reader), stream.writer)
    try:
        meter.traffic.connections += 1
        early = stream.switch(PARK_PROTOCOL)
        async with asyncio.timeout(SHAKE_SECONDS):
            await mate.writer.drain()
            if (early or await mate.read()) != PARK_READY:
                raise DeniedError(Refusal.NOT_TLS)
            enforce(await shake_hands(call.name, call.side, mate, call.early, meter.traffic, inner=True))
        await Relay(call.side, mate, meter.traffic, meter.share, outside.now, meter.lease).run(outside.limits)
    finally:
        mate.transport.abort()
        call.side.transport.abort()


async def shake_hands(
    host: str, caller: Side, far: Side, early: bytes, traffic: Traffic, *, inner: bool = False
) -> Decision:
    """Lets the hellos through if both are TLS 1.3 for ``host``; a HelloRetryRequest makes it two pairs.

    ``early`` is what the caller, who speaks first, has said already; ``inner`` is for those who come from outside:
    :func:`~clawmates.gateway.hello.judge_client`.
    """
    from_caller, from_far, second = early, b"", False
    while True:
        client = await read_hello(client_reader(host, second=second, inner=inner), caller, from_caller)
        if not client.finish().allowed:
            return client.finish()
        await _forward(far, client.hello, traffic, outward=True)
        server = await read_hello(server_reader(second=second), far, from_far)
        decision = server.finish()
        if decision.verdict is Verdict.DENY:
            return decision
        if decision.verdict is Verdict.ALLOW:
            await _forward(caller, server.hello + server.rest, traffic, outward=False)
            await _forward(far, client.rest, traffic, outward=True)
            return decision
        await _forward(caller, server.hello, traffic, outward=False)
        from_caller, from_far, second = client.rest, server.rest, True


async def read_hello(hello: HelloReader, side: Side, data: bytes) -> HelloReader:
    """Feeds ``data`` and then what comes from ``side``, until there is a verdict, an end, or no time left."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HELLO_SECONDS):
            decision = hello.feed(data) if data else None
            while decision is None and (data := await side.read()):
                decision = hello.feed(data)
    return hello


async def _forward(side: Side, data: bytes, traffic: Traffic, *, outward: bool) -> None:
    if not data:
        return
    traffic.count(len(data), outward=outward)
    await side.write(data)
