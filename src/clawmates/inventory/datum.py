"""The words in which a kept datum is declared. No logic, no I/O: everybody may read this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Basis(StrEnum):
    """On what a datum is processed: GDPR, article 6(1)."""

    CONTRACT = "contract"
    """(b): without it the service cannot be given."""
    LEGITIMATE_INTEREST = "legitimate-interest"
    """(f): security and accountability of the service."""
    LEGAL_OBLIGATION = "legal-obligation"
    """(c)."""


class Until(StrEnum):
    """What ends a datum's life; a span comes beside it where one is counted."""

    ACCOUNT_DELETED = "account-deleted"
    BOT_DELETED = "bot-deleted"
    CHANGED = "changed"
    """Or the bot or account it belongs to is deleted."""
    AGE = "age"
    """It is as old as ``span``."""
    USED = "used"
    """Or as old as ``span``."""
    NEVER = "never"
    """It is about the platform and about nobody."""


class Viewer(StrEnum):
    """Who can see it in the clear, by what the platform offers."""

    OWNER = "owner"
    OPERATOR = "operator"
    MATE = "mate"
    """The bot's own container."""
    NODE = "node"
    NOBODY = "nobody"
    """It is a hash or a key, used and not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    """One kept thing. ``columns`` are ``STORE.TABLE.COLUMN``; the store is *control*, *vault* or *keys*."""

    id: str
    what: str
    why: str
    until: Until
    basis: Basis
    columns: tuple[str, ...]
    seen_by: tuple[Viewer, ...]
    span: timedelta | None = None
    exported: bool = False
    """Whether it stands in what an owner takes away (GDPR, articles 15 and 20)."""
    about_a_person: bool = True

    def __post_init__(self) -> None:
        if (self.until is Until.AGE) != (self.span is not None) and self.until is not Until.USED:
            raise ValueError(f"{self.id}: an age needs a span, and only an age does")
        if self.about_a_person and self.until is Until.NEVER:
            raise ValueError(f"{self.id}: what is about a person ends")
