"""What a throw-away platform can do that a real one must not: its outside world is made of stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clawmates.proofs.net.packets import End


class Guise(StrEnum):
    """How a server shows itself."""

    GOOD = "TLS 1.3, good certificate"
    EXPIRED = "expired"
    WRONG_NAME = "another name"
    SELF_SIGNED = "self-signed"
    TLS12 = "TLS 1.2 only"
    OTHER_ROLE = "another service's"
    """A certificate of the platform's own authority, for the right host, of a service that is not the vault."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a client did with a server, as the server saw it."""

    shook: bool
    """It completed the handshake."""
    spoke: bool
    """And sent something."""
    said: str = ""
    """How it refused: an alert, or that it hung up."""


class Hop(Protocol):
    """One way out: a client of the platform, and a server that can put on guises."""

    @property
    def name(self) -> str:
        """``mate → api.openai.com``."""
        ...

    @property
    def guises(self) -> tuple[Guise, ...]:
        """The bad ones that the server knows."""
        ...

    async def careless(self) -> Mapping[Guise, Reaction]:
        """What a client does that checks nothing, in every guise: the control."""
        ...

    async def call(self) -> Mapping[Guise, Reaction]:
        """Makes the platform's own client call until it has met every guise, the good one last.

        Raises :class:`~clawmates.proofs.errors.ProofError`.
        """
        ...


class World(Protocol):
    """All that is outside."""

    @property
    def rounds(self) -> tuple[tuple[Hop, ...], ...]:
        """Every way out; those of one round can be tried at the same time."""
        ...

    @property
    def places(self) -> Mapping[End, str]:
        """Where the world's servers are, and the names they have there."""
        ...

    @property
    def nowhere(self) -> End:
        """A place of the world where nobody has any business."""
        ...

    @property
    def asked(self) -> Mapping[str, int]:
        """The names that were looked up since the last :meth:`refresh`, and how often."""
        ...

    async def prepare(self) -> None:
        """Adds the bots that it takes to try every channel and provider. Raises ``ProofError``."""
        ...

    async def refresh(self) -> None:
        """Ends every connection with the world, so that the next ones begin where they can be seen."""
        ...

    async def converse(self, text: Callable[[int], str]) -> Mapping[str, int]:
        """A message or more over every channel and to every provider, numbered from 0; replies by way.

        Raises :class:`~clawmates.proofs.errors.ProofError`.
        """
        ...

    async def retreat(self) -> None:
        """Leaves one bot: in the terminal, with a model on this host's own loopback. Raises ``ProofError``."""
        ...

    async def converse_alone(self, text: Callable[[int], str]) -> Mapping[str, int]:
        """Messages to that one. Raises ``ProofError``."""
        ...

    async def settle(self) -> None:
        """Everything is as it was before :meth:`prepare`. Raises ``ProofError``."""
        ...
