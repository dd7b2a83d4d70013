"""How fast one bot may go, and how the bots share the gateway.

Two rules. A bot has at most so many bytes a second in each direction, however many tunnels it has: what it moves beyond
that is a debt, and its tunnels rest until the debt is paid. And while several bots are busy, each moves at most one
read's worth of bytes in one turn of the event loop: a bot with thirty busy tunnels reads a thirtieth as much at a time
from each, so it gets no more than a bot with one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 128 * 1024
LEAST_READ = 4 * 1024
WINDOW_SECONDS = 0.02
"""Who has moved something within one window is busy in the next."""
BURST_SECONDS = 0.25
"""A bot that was silent may take so many seconds' worth at once."""


class Crowd:
    """All bots of a gateway: how many are busy."""

    __slots__ = ("_busy", "_count", "_window")

    def __init__(self) -> None:
        self._window = 0
        self._count = 0
        self._busy = 0

    def saw(self, window: int) -> None:
        """One more bot has moved something in this window."""
        if window != self._window:
            self._busy = self._count if window == self._window + 1 else 0
            self._window, self._count = window, 0
        self._count += 1

    @property
    def busy(self) -> int:
        """How many bots moved something lately."""
        return max(self._busy, self._count)


class Share:
    """One bot's part, both directions together in the loop and each by itself in bytes a second."""

    __slots__ = ("_active", "_count", "_crowd", "_now", "_window", "directions")

    def __init__(self, bytes_per_second: int, crowd: Crowd, now: Callable[[], float]) -> None:
        """0 is no limit. ``now`` gives monotonic seconds."""
        self.directions = (Debt(bytes_per_second, now), Debt(bytes_per_second, now))
        """Into the mate, out of the mate."""
        self._crowd = crowd
        self._now = now
        self._window = -1
        self._count = 0
        self._active = 1

    def debt(self, *, outward: bool) -> Debt:
        """What one direction owes."""
        return self.directions[outward]

    def seen(self, last: int) -> int:
        """A reader of this bot has moved something; it last did so in window ``last``. Returns this window."""
        window = int(self._now() / WINDOW_SECONDS)
        if window != self._window:
            self._active = self._count if window == self._window + 1 else 1
            self._window, self._count = window, 0
            self._crowd.saw(window)
        if last != window:
            self._count += 1
        return window

    def piece(self) -> int:
        """How many bytes one tunnel may read at once."""
        if self._crowd.busy <= 1:
            return READ_BYTES
        return max(READ_BYTES // max(self._active, self._count, 1), LEAST_READ)


class Debt:
    """A token bucket that may be overdrawn by what was already read; ``level`` below 0 is a debt to sit out."""

    __slots__ = ("_at", "_level", "_now", "_per_second", "_timer", "_waiting")

    def __init__(self, per_second: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now = now
        self._level = per_second * BURST_SECONDS
        self._at = now()
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def spend(self, size: int) -> bool:
        """Counts bytes that have passed; returns whether more may."""
        if not self._per_second:
            return True
        self._refill()
        self._level -= size
        return self._level >= 0

    def wait(self, paid: Callable[[], None]) -> None:
        """Calls ``paid`` once the debt is paid; who waits first goes on first."""
        self._waiting.append(paid)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.seconds(), self._pay)

    def seconds(self) -> float:
        """Until nothing is owed."""
        self._refill()
        return max(0.0, -self._level / self._per_second) if self._per_second else 0.0

    def _pay(self) -> None:
        self._timer = None
        left = self.seconds()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._pay)
            return
        waiting, self._waiting = self._waiting, deque()
        for paid in waiting:
            paid()

    def _refill(self) -> None:
        now = self._now()
        most = self._per_second * BURST_SECONDS
        self._level = min(most, self._level + max(0.0, now - self._at) * self._per_second)
        self._at = now
