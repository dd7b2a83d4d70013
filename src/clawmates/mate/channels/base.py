"""The channel contract: messages come in until they are finished; replies grow, then are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from clawmates.mate.messages import Arrival, Inbound


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

    def finish(self, inbound: Inbound) -> None:
        """The message is dealt with: the messenger may forget it. Unfinished ones come again after a crash."""
        ...
