"""What a proof needs of a platform; a running self-host and the throw-away platform both give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from clawmates.base.paths import Run, State
    from clawmates.base.settings import Settings
    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.stand_ins import StandIns
    from clawmates.proofs.trial import Bench
    from clawmates.proofs.world import World
    from clawmates.wire.status import Finding, NodeStatus


class Platform(Protocol):
    """One running platform, as its operator sees it."""

    @property
    def state(self) -> State:
        """The state folder."""
        ...

    @property
    def run(self) -> Run:
        """The runtime folder."""
        ...

    @property
    def settings(self) -> Settings:
        """Its configuration."""
        ...

    @property
    def world(self) -> World | None:
        """What is outside, where that is made of stand-ins; ``None`` for a platform in the real world."""
        ...

    @property
    def apart(self) -> tuple[str, ...]:
        """Sentences on what belongs to the trial and not to the platform, and is therefore not searched."""
        ...

    @property
    def stand_ins(self) -> StandIns | None:
        """The world outside, where it is made of stand-ins; ``None`` where messenger and provider are real."""
        ...

    @property
    def renewable(self) -> bool:
        """Whether there is another release to exchange for: a trial may make one, nobody's own platform has it."""
        ...

    async def processes(self) -> Mapping[str, int]:
        """Name → process id of vault, gateway, node and whatever else of the platform runs beside them."""
        ...

    async def status(self) -> NodeStatus:
        """What node says now. Raises :class:`ProofError`."""
        ...

    async def read_back(self, bot: str) -> tuple[Finding, ...]:
        """The isolation of a bot's running container, read from the kernel now. Raises :class:`ProofError`."""
        ...

    async def attempts(self, bot: str, bench: Bench, *, controls: bool = True) -> Attempts:
        """Every probe, tried inside a bot's running container and, with ``controls``, in weaker ones.

        Raises :class:`ProofError`.
        """
        ...

    def hog(self, bot: str) -> AbstractAsyncContextManager[None]:
        """As long as it is open, a bot's container takes all processor time and memory that it is given."""
        ...

    async def chat(self, bot: str, text: str) -> str:
        """Sends one message through the bot's terminal channel and waits for the whole reply.

        An error that the bot explains in words is a reply. Raises :class:`ChatError`.
        """
        ...

    async def kill(self, process: str) -> None:
        """``kill -9`` of vault, gateway or node; returns when it is up again. Raises :class:`ProofError`."""
        ...

    async def replace(self, bot: str) -> None:
        """Has a bot's container exchanged as planned; returns when the new mate is live. Raises :class:`ProofError`."""
        ...

    async def renew(self) -> None:
        """Exchanges the release for a newer one of another image; returns when every bot lives by it.

        Raises :class:`ProofError`.
        """
        ...

    async def kill_mate(self, bot: str) -> None:
        """``kill -9`` of the mate; returns when a new one is live. Raises :class:`ProofError`."""
        ...
