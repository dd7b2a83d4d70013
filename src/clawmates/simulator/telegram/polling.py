"""Updates that wait for a bot, and the rules by which ``getUpdates`` hands them out.

Rules: core.telegram.org/bots/api/methods/getupdates.md, and what the published server (telegram-bot-api) does
about offsets that repeat. Time is passed in; nothing here waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MAX_UPDATES = 100
MAX_TIMEOUT = 50
KEPT_SECONDS = 24 * 3600.0
MAX_ANSWER_BYTES = 1 << 22
REPEAT_ONE_SECONDS = 0.5
"""A repeated offset within this time gets one update only."""
REPEAT_WAIT_SECONDS = 3
"""A repeated offset within this time waits at least this long when there is nothing."""
FUTURE = 10
"""An offset further than this behind the newest update counts as none."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unconfirmed update: its JSON without the id, and the moment from which it is no longer kept."""

    update_id: int
    body: bytes
    expires: float

    def json(self) -> bytes:
        """The whole Update object."""
        return b'{"update_id":%d,%s' % (self.update_id, self.body[1:])


class Updates:
    """One bot's queue. Ids count up by one."""

    def __init__(self, first_id: int) -> None:
        self._queue: deque[Waiting] = deque()
        self._next = first_id

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, body: bytes, now: datetime) -> int:
        """Queues an update (a JSON object with exactly one field) and returns its id."""
        update_id = self._next
        self._next += 1
        self._queue.append(Waiting(update_id, body, now.timestamp() + KEPT_SECONDS))
        return update_id

    def get(self, offset: int, limit: int, now: datetime) -> tuple[Waiting, ...]:
        """Confirms all updates below ``offset`` and returns up to ``limit`` of those that remain.

        A negative offset keeps only that many of the newest; 0 confirms nothing.
        """
        if offset < 0:
            while len(self._queue) > -offset:
                self._queue.popleft()
        elif offset <= self._next + FUTURE:
            while self._queue and self._queue[0].update_id < offset:
                self._queue.popleft()
        while self._queue and self._queue[0].expires <= now.timestamp():
            self._queue.popleft()
        found: list[Waiting] = []
        size = 0
        for update in self._queue:
            size += len(update.body) + 50
            if len(found) == limit or size > MAX_ANSWER_BYTES:
                break
            found.append(update)
        return tuple(found)

    def clear(self) -> None:
        """Forgets all that waits."""
        self._queue.clear()


@dataclass(slots=True)
class Repeats:
    """What the server remembers of a bot's last ``getUpdates`` to slow down one that asks in a hurry."""

    offset: int = 0
    at: float = float("-inf")

    def apply(self, offset: int, limit: int, timeout: int, now: float) -> tuple[int, int]:
        """The (limit, timeout) that count, out of those asked for; ``now`` is monotonic."""
        limit = min(max(limit, 1), MAX_UPDATES)
        timeout = min(max(timeout, 0), MAX_TIMEOUT)
        if offset == self.offset:
            if now < self.at + REPEAT_WAIT_SECONDS:
                timeout = max(timeout, REPEAT_WAIT_SECONDS)
            if now < self.at + REPEAT_ONE_SECONDS:
                limit = 1
        self.offset = offset
        self.at = now
        return limit, timeout
