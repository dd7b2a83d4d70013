"""A world outside that does as it is told; it ships beside the seam (:mod:`clawmates.proofs.stand_ins`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.canary import Canary, mint

if TYPE_CHECKING:
    from collections.abc import Mapping


async def _nobody(_bot: str, _text: str) -> str:
    return ""


async def _nothing(_text: str) -> None:
    return


@dataclass(slots=True)
class FakeWorld:
    """A messenger and a provider that do as they are told."""

    secret: Canary = field(default_factory=mint)
    kinds: tuple[str, ...] = ("bad key", "overloaded")
    provoked: list[tuple[str, str]] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    waiting: int = 0
    bots: tuple[str, ...] = ()
    chat: Callable[[str, str], Awaitable[str]] = _nobody
    hear: Callable[[str], Awaitable[None]] = _nothing

    @property
    def troubles(self) -> Mapping[str, tuple[str, ...]]:
        """The same for everybody."""
        return dict.fromkeys(self.bots, self.kinds)

    async def provoke(self, bot: str, trouble: str) -> None:
        """Remembers."""
        self.provoked.append((bot, trouble))
        self.waiting += 1

    async def calm(self) -> int:
        """All of it was met."""
        met, self.waiting = self.waiting, 0
        return met

    async def say(self, bot: str, text: str) -> str:
        """As through the terminal."""
        return await self.chat(bot, text)

    async def edit(self, bot: str, text: str) -> None:
        """Heard like any other message."""
        self.edited.append(bot)
        await self.hear(text)

    async def drafts(self) -> int:
        """None."""
        return 0
