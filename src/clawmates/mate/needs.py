"""What the relay needs of the parts around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clawmates.mate.messages import Inbound
    from clawmates.mate.people import Handed
    from clawmates.wire.codes import Event
    from clawmates.wire.door import TurnAnswer, TurnEnd


class Guard(Protocol):
    """Who may talk to the bot: see :class:`clawmates.mate.gate.Gate`."""

    def admits(self, inbound: Inbound) -> bool:
        """Whether the person may."""
        ...

    async def ask(self, inbound: Inbound) -> str | None:
        """``None`` where the message goes its way, else all that there is to say to it."""
        ...

    def hand(self) -> Handed:
        """What the next life has to know of the list of people."""
        ...

    def inherit(self, handed: Handed) -> None:
        """Takes that from the life before."""
        ...


class Turns(Protocol):
    """The gateway's door, as far as turns go: see :class:`clawmates.mate.door.Door`."""

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        """Asks what to do with a turn of a chat."""
        ...

    async def end(self, end: TurnEnd) -> None:
        """Says that a reply was sent."""
        ...

    async def say(self, event: Event) -> None:
        """Tells the owner something."""
        ...

    @property
    def deaths(self) -> int:
        """How often the gateway has died."""
        ...

    async def died(self, since: int) -> bool:
        """Whether it has died since there were so many deaths."""
        ...
