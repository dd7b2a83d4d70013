"""``/run/boot``: what a mate trusts, and one ticket. Written by node into RAM, mounted read-only."""

from __future__ import annotations

from binascii import crc32
from dataclasses import dataclass

from clawmates.base.secret import Secret
from clawmates.wire.names import check_bot_id

BOOT_FILE = "boot.json"
AUTHORITY_FILE = "authority.pem"
"""The one authority trusted for the vault."""
EXTRA_ROOTS_FILE = "extra-roots.pem"
"""Trusted beside the public roots; there only under ``unsafe_extra_ca``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """``boot.json``. Without a ticket the mate waits: its isolation is still being checked."""

    bot: str
    region: str
    generation: int
    vault: str
    """The URI name that the vault's certificate must carry."""
    ticket: Secret[str] | None = None
    predecessor: int = 0
    """The generation of a container of this bot that still lives: until it is 0 this one speaks to nobody.

    Node's word, by the kernel's: never two lives of a bot are on the messenger's line.
    """

    def __post_init__(self) -> None:
        check_bot_id(self.bot)

    @property
    def mark(self) -> int:
        """Tells one ticket from another, 31 bits of its 256, in an event about a ticket that is spent."""
        return crc32(self.ticket.reveal().encode()) & 0x7FFF_FFFF if self.ticket else 0

    def plain(self) -> dict[str, object]:
        """The JSON form, ticket opened: for the one writer."""
        follows = {"predecessor": self.predecessor} if self.predecessor else {}
        return {
            "bot": self.bot,
            "region": self.region,
            "generation": self.generation,
            "vault": self.vault,
            "ticket": self.ticket.reveal() if self.ticket else None,
            **follows,
        }
