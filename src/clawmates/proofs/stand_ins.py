"""What a proof can do where messenger and AI providers are stand-ins, and must not do to real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.proofs.canary import Canary


class StandIns(Protocol):
    """The outside world of a throw-away platform."""

    @property
    def secret(self) -> Canary:
        """What stands in every token, key and prompt of the trial's bots."""
        ...

    @property
    def troubles(self) -> Mapping[str, tuple[str, ...]]:
        """Bot → the error paths that can be provoked on its way to channel and provider."""
        ...

    async def provoke(self, bot: str, trouble: str) -> None:
        """The bot's next message meets that trouble. Raises :class:`~clawmates.proofs.errors.ProofError`."""
        ...

    async def calm(self) -> int:
        """Takes back what was not met; how many troubles were met since the last time."""
        ...

    async def say(self, bot: str, text: str) -> str:
        """Writes to the bot in its messenger and waits for its next message.

        Raises :class:`~clawmates.proofs.errors.ChatError`.
        """
        ...

    async def edit(self, bot: str, text: str) -> None:
        """Changes the last message that was written to the bot in its messenger."""
        ...

    async def drafts(self) -> int:
        """How many drafts the messenger was sent so far."""
        ...
