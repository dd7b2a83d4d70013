"""Which chats a bot has answered in of late, so that a mate that was born since can say what it has forgotten.

In RAM and bounded; the names are hashes when they get here.
"""

from __future__ import annotations

KEPT_SECONDS = 24 * 3600.0
"""As long as a mate remembers a chat that has fallen silent."""
MAX_CHATS = 2_000


class Chats:
    """The chats of one bot, the longest silent first."""

    __slots__ = ("_answered",)

    def __init__(self) -> None:
        self._answered: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._answered)

    def note(self, chat: bytes, now: float) -> None:
        """A turn of this chat has ended; where there is no room, the longest silent gives way."""
        self._answered.pop(chat, None)
        self._answered[chat] = now
        self._forget(now)

    def met(self, chat: bytes, now: float) -> bool:
        """Whether a turn of this chat has ended within a day."""
        self._forget(now)
        return chat in self._answered

    def _forget(self, now: float) -> None:
        while self._answered:
            first = next(iter(self._answered))
            if len(self._answered) <= MAX_CHATS and self._answered[first] > now - KEPT_SECONDS:
                return
            del self._answered[first]
