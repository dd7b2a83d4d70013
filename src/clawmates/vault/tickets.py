"""Tickets: a right to some items at some versions, once, for a minute, for one bot on one node.

In RAM only, as hashes: a restart of the vault voids them all. Pure but for the book itself; moments are the
monotonic clock's seconds.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.wire.names import ItemName
from clawmates.wire.vault import TICKET_SECONDS, VaultRefusal

if TYPE_CHECKING:
    from clawmates.vault.envelope import Random

REMEMBERED = 16
"""Tickets remembered for one bot, used ones included, so that a second use is seen; the oldest is forgotten first."""
_HALF_BYTES = 24
_TICKET = re.compile(r"([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True, slots=True)
class Grant:
    """What one ticket opens."""

    bot: str
    node: str
    generation: int
    items: tuple[tuple[ItemName, int], ...]


@dataclass(slots=True)
class _Entry:
    grant: Grant
    number: str
    proof: bytes
    """SHA-256 of the ticket's secret half."""
    expires: float
    refusal: VaultRefusal | None = None
    """Why it opens nothing any more; ``None`` while it is good."""


class TicketBook:
    """All tickets the vault remembers."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._entries: dict[str, deque[_Entry]] = {}

    def issue(self, grant: Grant, now: float) -> Secret[str]:
        """A new ticket. Unused ones of the bot's earlier generations, whose containers are gone, are voided."""
        number, secret = self._half(), self._half()
        entries = self._entries.setdefault(grant.bot, deque(maxlen=REMEMBERED))
        for entry in entries:
            if entry.refusal is None and entry.grant.generation < grant.generation:
                entry.refusal = VaultRefusal.TICKET_EXPIRED
        entries.append(_Entry(grant, number, _proof(secret), now + TICKET_SECONDS))
        return Secret(f"{number}.{secret}")

    def redeem(self, bot: str, ticket: Secret[str], now: float) -> Grant | VaultRefusal:
        """What the ticket opens; from now on it opens nothing. ``TICKET_REUSED`` is an alarm: see the service."""
        halves = _TICKET.fullmatch(ticket.reveal())
        if halves is None:
            return VaultRefusal.TICKET_UNKNOWN
        proof = _proof(halves[2])
        for entry in self._entries.get(bot, ()):
            # The number is public and only finds the entry; the secret half is compared in constant time.
            if entry.number == halves[1] and compare_digest(entry.proof, proof):
                return self._use(entry, now)
        return VaultRefusal.TICKET_UNKNOWN

    def void(self, bot: str, refusal: VaultRefusal) -> None:
        """No unused ticket of the bot opens anything any more; they are answered with ``refusal``."""
        for entry in self._entries.get(bot, ()):
            if entry.refusal is None:
                entry.refusal = refusal

    def forget(self, bot: str) -> None:
        """The bot is gone, and all tickets with it."""
        self._entries.pop(bot, None)

    @staticmethod
    def _use(entry: _Entry, now: float) -> Grant | VaultRefusal:
        if entry.refusal is not None:
            return entry.refusal
        if now >= entry.expires:
            return VaultRefusal.TICKET_EXPIRED
        entry.refusal = VaultRefusal.TICKET_REUSED
        return entry.grant

    def _half(self) -> str:
        return urlsafe_b64encode(self._random(_HALF_BYTES)).decode()


def _proof(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
