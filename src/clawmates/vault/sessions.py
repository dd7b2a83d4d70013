"""Sessions: what a redeemed ticket leaves a mate for the rest of its life, so that it can keep what was born inside it.

In RAM only, as a hash; at most one a bot. It ends with the bot's freeze, move or destruction, with a ticket for a newer
container, and with the vault's own restart. Pure but for the book itself; moments are the monotonic clock's seconds.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections import deque
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.wire.names import ItemName
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    from clawmates.vault.envelope import Random
    from clawmates.vault.tickets import Grant

BORN_INSIDE = frozenset(name for name in ItemName if name.is_born_inside)
"""All that a mate may keep: who was admitted, and the key that its inbound TLS ends with."""
PUTS = 10
PUT_SECONDS = 60.0
"""So many puts in so many seconds: each rewrites ``keys.db``, which other bots wait for."""
_BYTES = 32


@dataclass(slots=True)
class _Session:
    bot: str
    node: str
    generation: int
    proof: bytes
    puts: deque[float] = field(default_factory=lambda: deque(maxlen=PUTS))


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose session it is."""

    bot: str
    node: str


class SessionBook:
    """All sessions there are."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sessions: dict[str, _Session] = {}

    def open(self, grant: Grant) -> Secret[str]:
        """A session for the life that redeemed ``grant``; the bot's earlier one ends."""
        token = urlsafe_b64encode(self._random(_BYTES)).decode()
        self._sessions[grant.bot] = _Session(grant.bot, grant.node, grant.generation, _proof(token))
        return Secret(token)

    def use(self, bot: str, token: Secret[str], name: ItemName, now: float) -> Holder | VaultRefusal:
        """Whether a session may put ``name`` now."""
        session = self._sessions.get(bot)
        if session is None or not compare_digest(session.proof, _proof(token.reveal())):
            return VaultRefusal.SESSION_UNKNOWN
        if name not in BORN_INSIDE:
            return VaultRefusal.NOT_ALLOWED
        if len(session.puts) == PUTS and now - session.puts[0] < PUT_SECONDS:
            return VaultRefusal.TOO_MANY
        session.puts.append(now)
        return Holder(session.bot, session.node)

    def supersede(self, bot: str, generation: int) -> None:
        """A newer container was given a ticket: the life before it is over."""
        session = self._sessions.get(bot)
        if session is not None and session.generation < generation:
            self.end(bot)

    def end(self, bot: str) -> None:
        """The bot's session is over; none is no error."""
        self._sessions.pop(bot, None)


def _proof(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
