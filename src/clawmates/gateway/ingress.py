"""Callers from outside: their ClientHello says whom they mean, and nothing of it is opened.

accept → ClientHello (TLS 1.3, one open name) → route → a connection that the bot's mate has parked, or control's fixed
address → ServerHello → opaque bytes. Whoever is refused has reached nobody: not a byte of theirs has gone further.
Control is told first who calls (:mod:`clawmates.base.proxyheader`), for its limits; a mate is not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from ipaddress import IPv6Network, ip_address
from typing import TYPE_CHECKING, cast

from clawmates.base.proxyheader import header
from clawmates.gateway.decision import ALLOW, deny
from clawmates.gateway.dial import UnreachableError
from clawmates.gateway.hello import caller_reader, name_in
from clawmates.gateway.parking import Call
from clawmates.gateway.relay import Relay
from clawmates.gateway.routes import Callee, route
from clawmates.gateway.streams import Reader, Side, open_side
from clawmates.gateway.traffic import Traffic
from clawmates.gateway.tunnel import SHAKE_SECONDS, DeniedError, enforce, read_hello, shake_hands
from clawmates.wire.door import Refusal
from clawmates.wire.gatewayctl import IngressStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.gateway.bandwidth import Share
    from clawmates.gateway.door import Door
    from clawmates.gateway.resolve import Endpoint
    from clawmates.gateway.tunnel import Outside

MOST_CALLERS = 1024
MOST_OF_ONE = 64
"""Callers at a time from one address, or one IPv6 network of 64 bits: whoever has one has all addresses in it."""
ALERT_SECONDS = 1.0
PARKED_SECONDS = 2.0
"""How long a caller waits for a mate that has just been called, or just lost its gateway."""
_ALERTS = {
    Refusal.TLS_TOO_OLD: 70,  # protocol_version
    Refusal.SNI_MISMATCH: 112,  # unrecognized_name
    Refusal.NAME_UNKNOWN: 112,
    Refusal.NOBODY_WAITS: 80,  # internal_error
    Refusal.TOO_MANY: 80,
    Refusal.UNREACHABLE: 80,
    Refusal.DRAINING: 80,
}
"""What a refused caller is told (RFC 8446 §6); whoever does not speak TLS is told nothing."""


def alert(reason: Refusal) -> bytes:
    """A fatal alert in a record of its own; empty for those who would not understand it."""
    code = _ALERTS.get(reason)
    return b"" if code is None else b"\x15\x03\x03\x00\x02\x02" + bytes([code])


def crowd(address: str) -> str:
    """Who counts as one caller with this one."""
    found = ip_address(address.partition("%")[0])
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((found.packed[:8] + bytes(8), 64)))


class Ingress:
    """Takes calls for all bots of the host."""

    def __init__(
        self, domain: str, control: Endpoint | None, doors: Callable[[str], Door | None], outside: Outside
    ) -> None:
        """``doors`` finds the door of a hook's label."""
        self._domain = domain
        self._control = control
        self._doors = doors
        self._outside = outside
        self._share: Share = outside.share()
        self._traffic = Traffic()
        self._from: Counter[str] = Counter()
        self._reasons: Counter[Refusal] = Counter()
        self._calls = 0
        self._passed = 0

    def status(self) -> IngressStatus:
        """Counts since the gateway began."""
        return IngressStatus(
            open=self._from.total(), calls=self._calls, passed=self._passed, reasons=dict(self._reasons)
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller."""
        caller = Side(cast(Reader, reader), writer)
        address = crowd(str(writer.get_extra_info("peername")[0]))
        self._from[address] += 1
        try:
            enforce(ALLOW if self._from[address] <= MOST_OF_ONE else deny(Refusal.TOO_MANY))
            await self._take(caller)
        except DeniedError as error:
            self._reasons[error.reason] += 1
            await _say(caller, alert(error.reason))
        except OSError:
            return
        finally:
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]
            writer.transport.abort()

    async def _take(self, caller: Side) -> None:
        hello = await read_hello(caller_reader(), caller, b"")
        enforce(hello.finish())
        name = name_in(hello.message)
        where = route(name, self._domain)
        early = hello.hello + hello.rest
        door = self._doors(where.label) if where.callee is Callee.BOT else None
        if door is not None:
            await self._call(door, Call(name, caller, early))
        elif where.callee is Callee.CONTROL and self._control is not None:
            await self._pass(self._control, name, caller, early)
        else:
            raise DeniedError(Refusal.NAME_UNKNOWN)

    async def _call(self, door: Door, call: Call) -> None:
        enforce(await door.ring(call, PARKED_SECONDS))
        self._calls += 1
        await call.over.wait()

    async def _pass(self, control: Endpoint, name: str, caller: Side, early: bytes) -> None:
        try:
            sock = await self._outside.dialler.dial(control)
        except UnreachableError:
            raise DeniedError(Refusal.UNREACHABLE) from None
        far = await open_side(sock)
        self._passed += 1
        try:
            async with asyncio.timeout(SHAKE_SECONDS):
                ends = (caller.writer.get_extra_info(which)[:2] for which in ("peername", "sockname"))
                await far.write(header(*ends))
                enforce(await shake_hands(name, caller, far, early, self._traffic, inner=True))
            await Relay(caller, far, self._traffic, self._share, self._outside.now).run(self._outside.limits)
        finally:
            far.transport.abort()


async def _say(caller: Side, last_words: bytes) -> None:
    """Sends an alert and an end, and waits a moment for the caller to have read it."""
    if caller.transport.is_closing():
        return
    with suppress(OSError):
        async with asyncio.timeout(ALERT_SECONDS):
            await caller.write(last_words)
            caller.writer.close()
            await caller.writer.wait_closed()
