"""The opaque part of a tunnel: bytes from one transport to the other, and nothing looks at them.

Transport to transport, without a task for each direction: a full writer pauses the reader across from it, so a tunnel
holds at most one read and one write buffer a direction; an end travels as an end. How much is read at once, and when a
bot has to rest, is :mod:`clawmates.gateway.bandwidth`'s to say.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from clawmates.gateway.bandwidth import READ_BYTES
from clawmates.gateway.streams import hung_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.settings import GatewayLimits
    from clawmates.gateway.bandwidth import Debt, Share
    from clawmates.gateway.lease import Lease
    from clawmates.gateway.streams import Side
    from clawmates.gateway.traffic import Traffic

HIGH_WATER = 128 * 1024
HALF_CLOSED_SECONDS = 30.0
"""How long one direction may stay silent once the other has ended."""
_SCRATCH = memoryview(bytearray(READ_BYTES))


class Relay:
    """Joins two checked sides: the one that spoke first, and the one that answered it."""

    __slots__ = ("_changed", "_far", "_last", "_lease", "_near", "_now", "_started", "_traffic", "share")

    def __init__(
        self,
        near: Side,
        far: Side,
        traffic: Traffic,
        share: Share,
        now: Callable[[], float],
        lease: Lease | None = None,
    ) -> None:
        """``now`` gives monotonic seconds; without a ``lease`` it is endless."""
        self._lease = lease
        self._traffic = traffic
        self.share = share
        self._now = now
        self._started = self._last = now()
        self._changed = asyncio.Event()
        self._near = _End(self, near, outward=True)
        self._far = _End(self, far, outward=False)
        self._near.other, self._far.other = self._far, self._near

    async def run(self, limits: GatewayLimits) -> None:
        """Lets the bytes flow until both sides have ended, or the tunnel is idle or old. Raises ``OSError``."""
        ends = (self._near, self._far)
        try:
            early = [await end.take_over() for end in ends]
            for end, data in zip(ends, early, strict=True):
                end.start(data)
            await self._watch(limits)
        finally:
            for end in ends:
                end.transport.abort()

    async def _watch(self, limits: GatewayLimits) -> None:
        while not (self._near.lost and self._far.lost) and (left := self.left(limits)) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def left(self, limits: GatewayLimits) -> float:
        """Seconds until the tunnel is too idle or too old, if nothing moves."""
        half_closed = self._near.finished or self._far.finished
        idle = min(limits.idle_seconds, HALF_CLOSED_SECONDS) if half_closed else limits.idle_seconds
        return min(self._last + idle, self._started + limits.total_seconds) - self._now()

    def moved(self, size: int, *, outward: bool) -> None:
        """Counts."""
        self._last = self._now()
        self._traffic.count(size, outward=outward)

    def may(self) -> bool:
        """Whether one more byte may pass: a gateway that stood still must not first deliver what had come meanwhile."""
        return self._lease is None or self._lease.runs()

    def debt(self, *, outward: bool) -> Debt:
        """What this bot owes in that direction."""
        return self.share.debt(outward=outward is not self._traffic.inbound)

    def changed(self) -> None:
        """One side has ended, in one direction or both."""
        self._changed.set()


class _End(asyncio.BufferedProtocol):
    """One side of a relay: what it reads, the other writes."""

    __slots__ = (
        "_before",
        "_debt",
        "_full",
        "_outward",
        "_relay",
        "_resting",
        "_share",
        "_side",
        "_window",
        "finished",
        "lost",
        "other",
        "transport",
    )

    other: _End

    def __init__(self, relay: Relay, side: Side, *, outward: bool) -> None:
        self._relay = relay
        self._side = side
        self._outward = outward
        self.transport = side.transport
        self._before = self.transport.get_protocol()
        self._full = False
        self._share = relay.share
        self._debt = relay.debt(outward=outward)
        self._resting = False
        self._window = -1
        self.finished = False
        self.lost = False

    async def take_over(self) -> bytes:
        """From here on the transport calls this protocol; returns bytes that were read before."""
        rest = await self._side.hand_over(self)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        return rest

    def start(self, early: bytes) -> None:
        """Passes on what was read before, and lets the rest come."""
        if early:
            self._pass_on(early)
        if self._side.reader.ended:
            self.eof_received()
        self._resume()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        """One buffer for all connections: what is in it has left it when the next call comes."""
        return _SCRATCH[: self._share.piece()]

    def buffer_updated(self, nbytes: int) -> None:
        """The copy is needed: a transport may keep what it could not send at once.

        Neither stays behind: with a model on this host's own loopback, what passes here is not encrypted.
        """
        data = bytearray(_SCRATCH[:nbytes])
        _SCRATCH[:nbytes] = bytes(nbytes)
        self._pass_on(data)
        if not self.other.transport.get_write_buffer_size():
            data[:] = bytes(nbytes)

    def _pass_on(self, data: bytes | bytearray) -> None:
        if not self._relay.may():
            self.transport.abort()
            self.other.transport.abort()
            return
        self._relay.moved(len(data), outward=self._outward)
        self._window = self._share.seen(self._window)
        if not self.other.transport.is_closing():
            self.other.transport.write(data)
        if not self._debt.spend(len(data)) and not self._resting:
            self._resting = True
            self.transport.pause_reading()
            self._debt.wait(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._resume()

    def pause_writing(self) -> None:
        """This side takes bytes more slowly than they come."""
        self._full = True
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._full = False
        self.other._resume()  # noqa: SLF001 - the other half of this one

    def _resume(self) -> None:
        if not (self.finished or self._resting or self.other._full):  # noqa: SLF001
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        """Nothing more comes from this side; the other direction goes on, unless this side is gone altogether."""
        self.finished = True
        self._relay.changed()
        if self.other.finished or hung_up(self.transport.get_extra_info("socket")):
            self.other.transport.close()
            self.transport.close()
        elif not self.other.transport.is_closing():
            with suppress(OSError):
                self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Closes the other side; what it still has to send is sent, unless this side broke."""
        self.finished = self.lost = True
        self._before.connection_lost(exc)
        if exc is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()
        self._relay.changed()
