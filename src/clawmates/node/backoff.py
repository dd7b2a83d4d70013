"""How long to wait before the next try: at once, then jittered and growing."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 1.0
CAP_SECONDS = 60.0
GOOD_SECONDS = 10.0
"""A container that lived this long has earned a fresh count."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """``failures`` in a row; nothing is tried before ``ready_at`` on the monotonic clock."""

    failures: int = 0
    ready_at: float = 0.0

    def failed(self, now: float, jitter: float, *, lived: float = 0.0) -> Backoff:
        """After one more failure. ``jitter`` is in [0, 1): the pause is half to the whole of its full length.

        The first retry is immediate; a success that lived :data:`GOOD_SECONDS` starts the count anew.
        """
        failures = 1 if lived >= GOOD_SECONDS else self.failures + 1
        if failures == 1:
            return Backoff(failures, now)
        full = min(CAP_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 2, 16))
        return Backoff(failures, now + full * (0.5 + jitter / 2))
