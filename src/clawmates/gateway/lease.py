"""How long a door stays open: node's word, and what remains of it when there is no node any more to say another.

The gateway is told until when, not for how long, on a clock that both read; so an order that comes late gives nobody
more time, and a gateway that stood still finds out at the first byte that it would pass on.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from clawmates.wire.gatewayctl import LEASE_GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable


class Lease:
    """Of one door. ``over`` is called once at its end, and again at the end of a later one."""

    __slots__ = ("_due", "_now", "_over", "_timer", "_until")

    def __init__(self, now: Callable[[], float], over: Callable[[], None] = lambda: None) -> None:
        """``now`` gives seconds since the machine booted, also those it has slept."""
        self._now = now
        self._over = over
        self._until = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    def runs(self) -> bool:
        """Whether anything may pass."""
        return self._now() < self._until

    def take(self, until: float | None) -> None:
        """Node's word; ``None`` is endless. A little later than node ends the container by itself, the door closes."""
        self._until = math.inf if until is None else until + LEASE_GRACE_SECONDS
        if self._timer is None or self._until < self._due:
            self._wait()

    def forget(self) -> None:
        """The door is no more."""
        self._until = math.inf
        self._wait()

    def _wait(self) -> None:
        """One timer a door: a lease that was renewed is found to run still when it fires."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = self._until
        if not math.isinf(self._until):
            left = max(0.0, self._until - self._now())
            self._timer = asyncio.get_running_loop().call_later(left, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self.runs():
            self._wait()
        else:
            self._over()
