"""A token bucket: so many at once, so many a second after that."""

from __future__ import annotations


class Bucket:
    """Pure arithmetic over the monotonic seconds that the caller passes in."""

    __slots__ = ("_at", "_level", "capacity", "per_second")

    def __init__(self, capacity: float, per_second: float, now: float) -> None:
        """Starts full."""
        self.capacity = capacity
        self.per_second = per_second
        self._level = capacity
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there was one left."""
        now = max(now, self._at)
        self._level = min(self.capacity, self._level + (now - self._at) * self.per_second)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
