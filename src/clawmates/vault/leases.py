"""Leases: how long a node may ask for a bot's tickets. Pure; moments are the wall clock's, because leases are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

BACKWARDS = timedelta(minutes=5)
"""How far a clock may be set back before a lease counts as ended: it would run longer than it was given for."""


@dataclass(frozen=True, slots=True)
class Term:
    """A lease with an end; a bot without one has an endless lease."""

    seconds: int
    until: datetime

    @classmethod
    def begin(cls, seconds: int | None, now: datetime) -> Term | None:
        """From now on; ``None`` seconds are endless."""
        return None if seconds is None else cls(seconds, now + timedelta(seconds=seconds))

    def runs(self, now: datetime) -> bool:
        """Whether it still runs; a clock that was set back ends it too."""
        return self.until - timedelta(seconds=self.seconds) - BACKWARDS <= now < self.until

    def renewed(self, now: datetime) -> Term:
        """The same length again, from now on."""
        return Term(self.seconds, now + timedelta(seconds=self.seconds))


def runs(term: Term | None, now: datetime) -> bool:
    """Whether a lease runs; an endless one does."""
    return term is None or term.runs(now)
