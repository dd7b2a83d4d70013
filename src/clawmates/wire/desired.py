"""Desired state: the one document that says which bots should run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.wire.names import ChannelKind, ItemName, check_bot_id

if TYPE_CHECKING:
    from datetime import datetime

MOST_PAIRINGS = 3
_ENDS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HEX = re.compile(r"[0-9a-f]{64}")


class Access(StrEnum):
    """Who may talk to a messenger's bot. A terminal's console is the operator's own, and asks nobody."""

    PAIRED = "paired"
    """Who sends a code that its owner made, and whom the owner names."""
    LIST = "list"
    """Whom the owner names, and nobody else."""
    OPEN = "open"
    """Everybody who finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A code that admits one person: only its slow hash, bound to the bot (:mod:`clawmates.wire.pairing`)."""

    salt: str
    """32 random bytes, hexadecimal. It also names the pairing among those that are spent."""
    digest: str
    ends: str
    """RFC 3339, UTC, whole seconds: so that moments compare as text, and a mate needs no calendar."""

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.salt) or not _HEX.fullmatch(self.digest):
            raise ValueError("a pairing's salt and digest have 64 hexadecimal digits")
        if not _ENDS.fullmatch(self.ends):
            raise ValueError("a pairing's end is not a time of the form 2026-11-28T10:00:00Z")

    def pends(self, now: str) -> bool:
        """Whether the code may still be used; ``now`` has the form of :attr:`ends`."""
        return now < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Quotas of one bot; ``None`` is no limit. Messages are turns; days and months are UTC.

    A trial's counts are not refilled. What the gateway has counted it forgets when it restarts: who keeps a total
    longer than that sends what is left of it.
    """

    messages_per_day: int | None = None
    messages_per_month: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    messages_trial: int | None = None
    tokens_trial: int | None = None
    trial_ends: str | None = None
    """RFC 3339 with an offset; no turn begins from then on."""

    def __post_init__(self) -> None:
        counts = (
            *(self.messages_per_day, self.messages_per_month, self.messages_trial),
            *(self.tokens_per_day, self.tokens_per_month, self.tokens_trial),
        )
        if any(count is not None and count < 0 for count in counts):
            raise ValueError("a quota is not negative")
        if self.trial_ends is not None:
            _moment(self.trial_ends)

    def trial_over(self, now: datetime) -> bool:
        """Whether a trial has ended; ``now`` is aware of its time zone."""
        return self.trial_ends is not None and now >= _moment(self.trial_ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """What answers when the bot's own model cannot: another model, or another provider with a key of its own.

    The key of another provider is the item *fallback-key*; another model of the same provider needs none.
    """

    provider: str
    model: str


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
    fallback: Fallback | None = None
    access: Access = Access.PAIRED
    pairings: tuple[Pairing, ...] = ()
    paused: bool = False
    restarts: int = 0
    """Raised by one, it asks for a restart."""

    def __post_init__(self) -> None:
        check_bot_id(self.id)
        check_bot_id(self.tenant)
        if any(version < 1 for version in self.items.values()):
            raise ValueError("versions start at 1")
        if len(self.pairings) > MOST_PAIRINGS:
            raise ValueError("more codes are pending than may be")


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


def _moment(text: str) -> datetime:
    from datetime import datetime  # noqa: PLC0415 - the mate imports this module for nothing that needs a calendar

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("trial_ends is not a time of RFC 3339") from None
    if moment.tzinfo is None:
        raise ValueError("trial_ends has no offset from UTC")
    return moment
