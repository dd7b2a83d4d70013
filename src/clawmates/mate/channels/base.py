"""The channel contract: messages come in until they are finished; replies grow, then are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from clawmates.mate.messages import Arrival, Inbound


MOST_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a messenger's queue is for this bot, so that its next life neither misses nor obeys anything twice."""

    next: int = 0
    """The first message that is not dealt with; 0 when nothing is known."""
    seen: tuple[int, ...] = ()
    """Messages behind it that are dealt with."""

    def __post_init__(self) -> None:
        if len(self.seen) > MOST_SEEN or max(map(abs, (self.next, *self.seen))) >= 1 << 62:
            raise ValueError("a position is out of range")


class Reply(Protocol):
    """One reply being written."""

    def show(self, text: str) -> None:
        """The text so far. A preview: the channel paces it, or leaves it out."""
        ...

    async def send(self, text: str) -> None:
        """The whole reply, for good; tries until it is delivered or cancelled.

        Raises :class:`~clawmates.mate.errors.ChannelError` where trying again is of no use.
        """
        ...


class Channel(Protocol):
    """One messenger."""

    async def run(self, deliver: Callable[[Arrival], None]) -> None:
        """Delivers every message once, for ever, and what a messenger says of them; survives whatever it does."""
        ...

    def reply(self, inbound: Inbound) -> AbstractAsyncContextManager[Reply]:
        """Starts a reply to a delivered message."""
        ...

    async def tell(self, person: str, text: str) -> None:
        """Says something that nobody asked for to an admitted person; tries until it is delivered or cancelled.

        Raises :class:`~clawmates.mate.errors.ChannelError` where trying again is of no use.
        """
        ...

    def finish(self, inbound: Inbound) -> None:
        """The message is dealt with: the messenger may forget it. Unfinished ones come again after a crash."""
        ...

    async def prepare(self) -> None:
        """Finds out, before :meth:`run`, whether the messenger would have this bot.

        Raises :class:`~clawmates.mate.errors.ChannelError`.
        """
        ...

    def position(self) -> Position:
        """Where the next life is to begin."""
        ...

    def resume(self, position: Position) -> None:
        """Begins where the life before this one ended; before :meth:`run`."""
        ...
