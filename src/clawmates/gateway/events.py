"""What mates said of themselves: a ring in RAM for node, a line in the log for the owner."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.gateway.bell import Bell
from clawmates.wire.codes import Code
from clawmates.wire.gatewayctl import EVENTS_WAIT_SECONDS, BotEvent, Events

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.base.eventlog import EventLog
    from clawmates.wire.codes import Event

RING = 4096
AT_ONCE = 500
"""Events in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What the log keeps of an event for 30 days.

    Not the bot's name at the messenger, which everybody can look up there: with it, whoever has the log could tell for
    whom the audit chains' entries about a bot were made, also when its owner had everything deleted meanwhile.
    """

    code: Code
    number: int
    life: int


class EventRing:
    """Numbers count up from 1 within one ``instance``; who falls more than :data:`RING` behind misses the oldest."""

    def __init__(self, instance: str, clock: Clock, log: EventLog) -> None:
        self.instance = instance
        self._clock = clock
        self._log = log
        self._ring: deque[BotEvent] = deque(maxlen=RING)
        self._number = 0
        self._bell = Bell()

    def add(self, bot: str, event: Event) -> None:
        """One event of one bot."""
        self._number += 1
        self._ring.append(BotEvent(number=self._number, at=stamp(self._clock.now()), bot=bot, event=event))
        self._log.write(Logged(code=event.code, number=event.number, life=event.life), bot=bot)
        self._bell.ring()

    def after(self, number: int) -> tuple[BotEvent, ...]:
        """The oldest events newer than ``number``."""
        return tuple(islice((one for one in self._ring if one.number > number), AT_ONCE))

    async def poll(self, number: int, instance: str, seconds: float = EVENTS_WAIT_SECONDS) -> Events:
        """At once when there are any, or when ``instance`` is not this one; else after ``seconds``, empty."""
        if instance != self.instance:
            return Events(instance=self.instance, events=self.after(0))
        await self._bell.until(lambda: self._number > number, seconds)
        return Events(instance=self.instance, events=self.after(number))
