"""Two years of people, as arithmetic: when each of them comes, is counted, cancels, comes back or is deleted.

All of it follows from a person's number, so what must be left of the counts is known from here alone. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.control.accounts.leave import HEADSTART
from clawmates.inventory.spans import CANCELLED, COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable

DELETIONS_EVERY = 30
"""Days: who wants to be deleted says so on the same days as others, and the files are written anew once for all."""
LEAVER = 3
"""Who of fifty is deleted: somebody who never cancels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """So many people, one bot each, over so many days. Days are counted from 0; a person's life follows from ``n``."""

    people: int
    days: int

    @property
    def never(self) -> int:
        """A day that does not come."""
        return self.days + 1

    def born(self, n: int) -> int:
        """The day of the sign-up: evenly spread."""
        return n * self.days // self.people

    def cancels(self, n: int) -> int:
        """The day, or one that never comes."""
        return self.born(n) + 20 + n % 200 if n % 5 == 0 else self.never

    def resumes(self, n: int) -> int:
        """Every third of those comes back after ten days."""
        return self.cancels(n) + 10 if n % 15 == 0 else self.never

    def ends(self, n: int) -> int:
        """The day in the night after which the bot is destroyed that was not taken up again."""
        return self.never if self.resumes(n) <= self.days else self.cancels(n) + (CANCELLED - HEADSTART).days

    def deleted(self, n: int) -> int:
        """The day, or one that never comes: a month to a year after the sign-up, put off to the next such day."""
        wanted = self.born(n) + 30 + n % 300
        return -(-wanted // DELETIONS_EVERY) * DELETIONS_EVERY if n % 50 == LEAVER else self.never

    def runs(self, n: int, day: int) -> bool:
        """Whether the bot runs on that day."""
        began = self.born(n) <= day < self.cancels(n) or day >= self.resumes(n)
        return began and day < self.deleted(n)

    def is_kept(self, n: int, day: int) -> bool:
        """Whether it is there in the night after that day."""
        return day < min(self.ends(n), self.deleted(n))

    def counted(self, n: int, day: int) -> int:
        """Messages on that day; on three of ten days none."""
        return _messages(n, day) if self.runs(n, day) else 0

    def left(self, day: int) -> int:
        """How many messages are still known of in the night after that day, when the next one has begun.

        Counted one by one, for a small life; :class:`Ledger` keeps the same sum from day to day.
        """
        oldest = max(0, day + 1 - COUNTS.days)
        mine = (n for n in range(self.people) if self.born(n) <= day and self.is_kept(n, day))
        return sum(self.counted(n, one) for n in mine for one in range(max(oldest, self.born(n)), day + 1))


def _messages(n: int, day: int) -> int:
    return (n * 7 + day * 13) % 50 + 1 if (n * 31 + day * 17) % 10 < 7 else 0


class Calendar:
    """Who does what on which day."""

    def __init__(self, life: Life) -> None:
        self.come = _by_day(life, life.born)
        self.cancel = _by_day(life, life.cancels)
        self.resume = _by_day(life, life.resumes)
        self.end = _by_day(life, life.ends)
        self.delete = _by_day(life, life.deleted)


def _by_day(life: Life, when: Callable[[int], int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for n in range(life.people):
        if when(n) < life.days:
            found[when(n)].append(n)
    return dict(found)


@dataclass(slots=True)
class Ledger:
    """The sum of what is still known of, kept from day to day: each day's number, less those who are gone."""

    life: Life
    calendar: Calendar
    _running: set[int] = field(default_factory=set)
    _days: dict[int, int] = field(default_factory=dict)

    def night(self, day: int) -> int:
        """:meth:`Life.left` of the next day; days are asked for one after the other, from 0."""
        calendar = self.calendar
        self._running.update(calendar.come.get(day, ()))
        self._running.difference_update(calendar.cancel.get(day, ()))
        self._running.update(calendar.resume.get(day, ()))
        gone = [*calendar.end.get(day, ()), *calendar.delete.get(day, ())]
        self._running.difference_update(gone)
        self._days[day] = sum(_messages(n, day) for n in self._running)
        self._days.pop(day - COUNTS.days, None)
        for n in gone:
            for one in self._days:
                self._days[one] -= self.life.counted(n, one)
        return sum(self._days.values())
