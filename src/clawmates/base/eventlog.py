"""``log/PROCESS-YYYY-MM-DD.jsonl``: closed events, no line of which is kept longer than 30 days."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.base.shape import encode, encode_json

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.base.clock import Clock

KEPT_DAYS = 30
LOOK_SECONDS = 3600.0
_DATED = re.compile(r".+-(\d{4}-\d{2}-\d{2})\.jsonl")


def overdue(folder: Path, today: date) -> int:
    """Files that should be gone, and would be if any process looked every hour. Raises ``OSError``."""
    oldest = today - timedelta(days=KEPT_DAYS)
    return sum(day < oldest for path in folder.glob("*.jsonl") if (day := _day_of(path)) is not None)


class EventLog:
    """Appends one JSON object a line; a full or read-only disk drops the line, never the work."""

    def __init__(self, folder: Path, process: str, clock: Clock) -> None:
        self._folder = folder
        self._process = process
        self._clock = clock
        self._day: date | None = None
        self._descriptor = -1
        self.dropped = 0
        """Lines that could not be written."""

    def write(self, event: object, *, bot: str = "") -> None:
        """Appends a closed-schema dataclass, with the time and the bot it concerns."""
        now = self._clock.now()
        line = encode_json({"at": stamp(now), "bot": bot, "process": self._process} | encode(event)) + b"\n"
        try:
            if self._day != now.date():
                self._open(now)
            os.write(self._descriptor, line)
        except OSError:
            self.dropped += 1

    async def keep_short(self) -> None:
        """Removes files that are too old, every hour, for ever: one who has nothing to write would keep them.

        Those of others too, where it may: what a process wrote that is not there any more would stay for ever.
        """
        while True:
            self._forget(self._clock.now())
            await asyncio.sleep(LOOK_SECONDS)

    def _open(self, now: datetime) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._day = None
        path = self._folder / f"{self._process}-{now.date().isoformat()}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        self._day = now.date()
        self._forget(now)

    def _forget(self, now: datetime) -> None:
        """Removes each file whose first line would be too old before we look again: a file goes as a whole."""
        oldest = (now + timedelta(seconds=LOOK_SECONDS)).date() - timedelta(days=KEPT_DAYS - 1)
        with suppress(OSError):
            for path in self._folder.glob("*.jsonl"):
                _remove(path, oldest)


def _remove(path: Path, oldest: date) -> None:
    day = _day_of(path)
    if day is not None and day < oldest:
        with suppress(OSError):
            path.unlink()


def _day_of(path: Path) -> date | None:
    dated = _DATED.fullmatch(path.name)
    with suppress(ValueError):
        return date.fromisoformat(dated[1]) if dated else None
    return None
