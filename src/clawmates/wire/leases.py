"""What node says of the bots it runs, and what the vault answers; apart from what mates must load."""

from __future__ import annotations

from dataclasses import dataclass

MAX_RENEWED = 2000
"""Bots in one renewal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRenewal:
    """Node says which bots it runs."""

    bots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One bot's lease: seconds left, ``None`` when it is endless, and whether an alarm has frozen the bot."""

    bot: str
    seconds: int | None
    frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """What was renewed. A bot that is missing here is not this node's, or its lease has ended."""

    leases: tuple[Lease, ...]
