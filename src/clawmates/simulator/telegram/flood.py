"""Flood control: who sends too fast is told how long to wait (core.telegram.org/bots/faq, "My bot is hitting limits").

The real limits are not published in full, bend with the load and allow short bursts; these are the published ones, and
switched on by the control socket only. Time is passed in; nothing here waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.simulator.control import SetLimits

_MINUTE = 60.0


@dataclass(slots=True)
class Flood:
    """One bot's recent messages, as the moments at which its allowances are whole again (GCRA)."""

    _whole_at: dict[int, float] = field(default_factory=dict)

    def take(self, limits: SetLimits, chat_id: int, now: float) -> int:
        """Seconds to wait before a message to the chat; 0 when it may go, and it counts then."""
        due = list(_allowances(limits, chat_id))
        wait = 0.0
        for key, interval, burst in due:
            wait = max(wait, self._whole_at.get(key, 0.0) - now - (burst - 1) * interval)
        if wait > 0:
            return math.ceil(wait)
        for key, interval, _ in due:
            self._whole_at[key] = max(self._whole_at.get(key, 0.0), now) + interval
        return 0


def _allowances(limits: SetLimits, chat_id: int) -> Iterator[tuple[int, float, float]]:
    """(key, seconds a message, messages at once); the bot itself has key 0, which no chat has."""
    if limits.bot_per_second > 0:
        yield 0, 1 / limits.bot_per_second, max(1.0, limits.bot_per_second)
    if chat_id < 0 and limits.group_per_minute > 0:
        yield chat_id, _MINUTE / limits.group_per_minute, limits.group_per_minute
    elif limits.chat_per_second > 0:
        yield chat_id, 1 / limits.chat_per_second, limits.burst
