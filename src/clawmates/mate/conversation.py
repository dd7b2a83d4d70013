"""What the assistant remembers: a window per chat, in RAM, bounded, and forgotten; and whom it has met."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from clawmates.mate.messages import Message

BYTES_PER_TOKEN = 3
"""A cautious estimate: English runs near four, German and code near three."""
BYTE_BUDGET = 2 << 20
IDLE_SECONDS = 24 * 3600.0
CHATS_KNOWN = 2_000


@dataclass(slots=True)
class _Window:
    messages: list[Message] = field(default_factory=list)
    used: float = 0.0

    @property
    def weight(self) -> int:
        return sum(message.weight for message in self.messages)


@dataclass(slots=True)
class Memory:
    """All windows of one mate, the least recently used first.

    ``now`` gives monotonic seconds. Nothing here is ever written anywhere.
    """

    now: Callable[[], float]
    byte_budget: int = BYTE_BUDGET
    idle_seconds: float = IDLE_SECONDS
    _windows: OrderedDict[str, _Window] = field(default_factory=OrderedDict)
    _known: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Chats that there is nothing to tell about a life before this one; the latest, and longer than their windows."""

    def meet(self, chat: str) -> None:
        """This life knows the chat from now on, whatever is forgotten of it."""
        self._known[chat] = None
        self._known.move_to_end(chat)
        while len(self._known) > CHATS_KNOWN:
            self._known.popitem(last=False)

    def knows(self, chat: str) -> bool:
        """Whether this life has met the chat; what an earlier life knew of any other is gone."""
        return chat in self._known or chat in self._windows

    def windows(self) -> Iterator[tuple[str, float, tuple[Message, ...]]]:
        """Every chat with the seconds since it was touched and its messages, the longest untouched first."""
        self.forget_idle()
        now = self.now()
        for chat, window in self._windows.items():
            yield chat, max(0.0, now - window.used), tuple(window.messages)

    def known(self) -> tuple[str, ...]:
        """The chats that this life has met, the latest last."""
        return tuple(self._known)

    def inherit(self, chat: str, idle: float, *messages: Message) -> None:
        """Remembers what the life before this one did; the same bounds hold, and it grows no younger by it."""
        self.remember(chat, *messages)
        if chat in self._windows:
            self._windows[chat].used = self.now() - idle

    def window(self, chat: str, newest: Message, token_budget: int) -> tuple[Message, ...]:
        """The newest messages that fit ``token_budget``, ending in ``newest``, which is always there."""
        self.forget_idle()
        kept = [newest]
        room = token_budget * BYTES_PER_TOKEN - newest.weight
        for message in reversed(self._windows[chat].messages if chat in self._windows else []):
            room -= message.weight
            if room < 0:
                break
            kept.append(message)
        return tuple(reversed(kept))

    def remember(self, chat: str, *messages: Message) -> None:
        """Adds to a chat's window; other chats, and then its own oldest messages, give way to the byte budget."""
        window = self._windows.setdefault(chat, _Window())
        window.messages.extend(messages)
        window.used = self.now()
        self._windows.move_to_end(chat)
        total = sum(one.weight for one in self._windows.values())
        while total > self.byte_budget and len(self._windows) > 1:
            total -= self._windows.popitem(last=False)[1].weight
        while total > self.byte_budget and window.messages:
            total -= window.messages.pop(0).weight

    def forget(self, chat: str) -> None:
        """Forgets one chat."""
        self._windows.pop(chat, None)

    def forget_idle(self) -> None:
        """Forgets what nobody has touched for a day."""
        oldest_allowed = self.now() - self.idle_seconds
        while self._windows and next(iter(self._windows.values())).used < oldest_allowed:
            self._windows.popitem(last=False)

    @property
    def weight(self) -> int:
        """Bytes in all windows, about."""
        return sum(window.weight for window in self._windows.values())
