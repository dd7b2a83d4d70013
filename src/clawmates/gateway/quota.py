"""What a bot has used of its quota, by UTC day, month and trial. Counts are in RAM and are the mate's own report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.wire.desired import Limits


@dataclass(slots=True)
class _Period:
    number: int
    messages: int = 0
    tokens: int = 0

    def roll(self, number: int) -> None:
        """Starts afresh in another period; a clock set back over its border by less than one does not."""
        if not 0 <= self.number - number <= 1:
            self.number, self.messages, self.tokens = number, 0, 0

    def used_up(self, messages: int | None, tokens: int | None, reserved: int) -> bool:
        """``reserved`` tokens are promised to turns that have begun."""
        return (messages is not None and self.messages >= messages) or (
            tokens is not None and self.tokens + reserved >= tokens
        )


class Usage:
    """Messages are counted when a turn begins, tokens when it ends; what a running turn may cost is reserved."""

    __slots__ = ("_day", "_month", "_trial")

    def __init__(self, now: datetime) -> None:
        self._day = _Period(now.toordinal())
        self._month = _Period(_month(now))
        self._trial = _Period(0)

    def used_up(self, limits: Limits, now: datetime, reserved: int = 0) -> bool:
        """Whether no further turn may begin: with one token left one may, so the last may go over by its own cost."""
        self._roll(now)
        return (
            limits.trial_over(now)
            or self._day.used_up(limits.messages_per_day, limits.tokens_per_day, reserved)
            or self._month.used_up(limits.messages_per_month, limits.tokens_per_month, reserved)
            or self._trial.used_up(limits.messages_trial, limits.tokens_trial, reserved)
        )

    def add(self, now: datetime, *, messages: int = 0, tokens: int = 0) -> None:
        """Counts."""
        self._roll(now)
        for period in (self._day, self._month, self._trial):
            period.messages += messages
            period.tokens += tokens

    def _roll(self, now: datetime) -> None:
        self._day.roll(now.toordinal())
        self._month.roll(_month(now))


def _month(now: datetime) -> int:
    return now.year * 12 + now.month
