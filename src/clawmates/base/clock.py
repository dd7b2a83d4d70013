"""Time is passed in, never taken."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What a process may know of time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment, the same for all processes of a machine; never jumps."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, moved by ``offset`` (tests only: ``unsafe_clock_offset``)."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never jumps."""
        # Counts the time that the machine has slept, which CLOCK_MONOTONIC does not (clock_gettime(2)): a lease ends
        # for a host that was suspended as it does for everybody else.
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def stamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, UTC: ``2026-11-22T09:38:13.120Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
