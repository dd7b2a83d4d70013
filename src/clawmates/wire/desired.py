"""Desired state: the one document that says which bots should run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clawmates.wire.names import ChannelKind, ItemName, check_bot_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Quotas of one bot; ``None`` is no limit. Messages are turns; days and months are UTC."""

    messages_per_day: int | None = None
    messages_per_month: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSpec:
    """One bot as it should be."""

    id: str
    tenant: str
    channel: ChannelKind
    provider: str
    model: str
    items: Mapping[ItemName, int]
    """The versions of what the vault keeps for it."""
    limits: Limits = field(default_factory=Limits)
    max_output_tokens: int | None = None
    temperature: float | None = None
    paused: bool = False
    restarts: int = 0
    """Raised by one, it asks for a restart."""

    def __post_init__(self) -> None:
        check_bot_id(self.id)
        check_bot_id(self.tenant)
        if any(version < 1 for version in self.items.values()):
            raise ValueError("versions start at 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """All bots of one node. ``revision`` only grows."""

    revision: int
    bots: tuple[BotSpec, ...] = ()

    def __post_init__(self) -> None:
        if len({bot.id for bot in self.bots}) != len(self.bots):
            raise ValueError("two bots have the same id")

    def bot(self, bot: str) -> BotSpec | None:
        """The bot of that id."""
        return next((one for one in self.bots if one.id == bot), None)
