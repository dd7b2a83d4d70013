"""How often a bot may speak (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this).

About one message a second in a chat with short bursts, 20 a minute in a group, 30 a second in all. Messages wait for
their turn; previews are left out when there is none, and never take the place of a message.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

CHATS_KEPT = 1000


class Pace(NamedTuple):
    """``burst`` calls at once, then one every ``seconds``."""

    seconds: float
    burst: int


BOT = Pace(seconds=0.05, burst=10)
CHAT = Pace(seconds=1.0, burst=3)
GROUP = Pace(seconds=4.0, burst=5)
DRAFT = Pace(seconds=1.0, burst=2)
"""Nothing is published about drafts; so they keep the pace of a chat, by themselves."""


@dataclass(slots=True, eq=False, repr=False)
class Flood:
    """Paces one bot by the generic cell rate algorithm: one number a chat. ``now`` gives monotonic seconds."""

    now: Callable[[], float]
    _bot: float = 0.0
    _chats: OrderedDict[int, float] = field(default_factory=OrderedDict)
    _drafts: OrderedDict[int, float] = field(default_factory=OrderedDict)

    async def message(self, chat: int) -> None:
        """Waits until a message may go to ``chat``; groups have negative ids."""
        delay = self.delay(chat)
        if delay > 0:
            await asyncio.sleep(delay)

    def delay(self, chat: int) -> float:
        """Seconds until a message may go to ``chat``, whose place is taken now."""
        now = self.now()
        pace = _pace(chat)
        delay = max(_wait(self._bot, BOT, now), _wait(self._chats.get(chat, 0.0), pace, now), 0.0)
        self._take(chat, now + delay)
        return delay

    def draft(self, chat: int) -> bool:
        """Whether a draft may go to ``chat`` now; takes a draft's place there if so, and not a message's."""
        now = self.now()
        if self._hurried(now) or _wait(self._drafts.get(chat, 0.0), DRAFT, now) > 0:
            return False
        self._bot = _later(self._bot, BOT, now)
        _note(self._drafts, chat, DRAFT, now)
        return True

    def preview(self, chat: int) -> bool:
        """Whether a growing message may be sent or edited now and still leave room for its end; takes a place if so."""
        now = self.now()
        pace = _pace(chat)
        if self._hurried(now) or _wait(self._chats.get(chat, 0.0), Pace(pace.seconds, pace.burst - 1), now) > 0:
            return False
        self._take(chat, now)
        return True

    def _hurried(self, now: float) -> bool:
        """Whether the bot has so much to say that it shows nothing half-finished."""
        return _wait(self._bot, Pace(BOT.seconds, BOT.burst // 2), now) > 0

    def _take(self, chat: int, at: float) -> None:
        self._bot = _later(self._bot, BOT, at)
        _note(self._chats, chat, _pace(chat), at)


def _pace(chat: int) -> Pace:
    return GROUP if chat < 0 else CHAT


def _note(taken: OrderedDict[int, float], chat: int, pace: Pace, at: float) -> None:
    taken[chat] = _later(taken.get(chat, 0.0), pace, at)
    taken.move_to_end(chat)
    while len(taken) > CHATS_KEPT:
        taken.popitem(last=False)


def _later(taken_until: float, pace: Pace, at: float) -> float:
    return max(taken_until, at) + pace.seconds


def _wait(taken_until: float, pace: Pace, now: float) -> float:
    """Seconds until ``pace`` allows one more, after calls that use it up until ``taken_until``."""
    return taken_until - (pace.burst - 1) * pace.seconds - now
