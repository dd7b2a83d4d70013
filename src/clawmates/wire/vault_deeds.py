"""What the vault writes down in its audit chain: one grammar of tags, and the one form that each one's detail has.

The chain itself is that of :mod:`clawmates.wire.audit`; what control writes down is :mod:`clawmates.wire.deeds`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.audit import Head, canonical
from clawmates.wire.names import ItemName, check_bot_id, check_receipt_id

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Tag(StrEnum):
    """What happened: ``vault.SUBJECT.VERB``, and nothing else can be written down."""

    SERVICE_STARTED = "vault.service.started"
    BOT_ASSIGNED = "vault.bot.assigned"
    BOT_RELEASED = "vault.bot.released"
    BOT_FROZEN = "vault.bot.frozen"
    BOT_UNFROZEN = "vault.bot.unfrozen"
    BOT_DESTROYED = "vault.bot.destroyed"
    TENANT_DESTROYED = "vault.tenant.destroyed"
    ITEM_KEPT = "vault.item.kept"
    ITEM_DESTROYED = "vault.item.destroyed"
    DOCUMENT_READ = "vault.document.read"
    KEY_ROTATED = "vault.key.rotated"
    BACKUP_MADE = "vault.backup.made"
    AUDIT_RESUMED = "vault.audit.resumed"


class Origin(StrEnum):
    """Where an item came from."""

    CONTROL = "control"
    MATE = "mate"


class KeyKind(StrEnum):
    """Which keys were rotated."""

    MASTER = "master"
    TENANT = "tenant"
    INTAKE = "intake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The vault serves."""

    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A bot became known, or moved; ``lease_seconds`` of 0 is an endless lease."""

    bot: str
    tenant: str
    node: str
    lease_seconds: int

    def __post_init__(self) -> None:
        for one in (self.bot, self.tenant, self.node):
            check_bot_id(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A ticket was redeemed: all its items left the vault."""

    bot: str
    node: str
    generation: int

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfBot:
    """Something that concerns one bot and nothing else."""

    bot: str

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """A bot's keys and records are gone; the receipt of that number says so."""

    bot: str
    receipt: str

    def __post_init__(self) -> None:
        check_bot_id(self.bot)
        check_receipt_id(self.receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDestroyed:
    """The same of a tenant with all its bots; the id is no person's name."""

    tenant: str
    receipt: str

    def __post_init__(self) -> None:
        check_bot_id(self.tenant)
        check_receipt_id(self.receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A version of an item came in."""

    bot: str
    item: ItemName
    version: int
    origin: Origin

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDestroyed:
    """The keys of an item's versions up to this one are gone."""

    bot: str
    item: ItemName
    version: int

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRead:
    """A document left, sealed to somebody's one-time key."""

    bot: str
    item: ItemName
    version: int

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """Keys were replaced."""

    kind: KeyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """``vault.db`` left as a whole, for a backup; the hash (hex SHA-256) says which one it was."""

    sha256: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError("not a SHA-256 in hex")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBy:
    """What a node countersigned last of the vault's chain."""

    node: str
    head: Head

    def __post_init__(self) -> None:
        check_bot_id(self.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Root had countersigning begun anew, because one side was put back from a backup; what was seen before is named.

    Nodes that are not named, and control where it is not, go on as they were. An order that does not fit the chains as
    they are is none.
    """

    vault: Head
    """The vault's chain as it is."""
    by_nodes: tuple[SeenBy, ...] = ()
    control: Head | None = None
    """Control's chain as it is."""
    by_control: Head | None = None
    """What control countersigned last of the vault's chain."""
    by_vault: Head | None = None
    """What the vault countersigned last of control's."""

    def __post_init__(self) -> None:
        pair = {self.control is None, self.by_control is None, self.by_vault is None}
        if len(pair) > 1:
            raise ValueError("names half of what it concerns")

    def by(self, node: str) -> Head | None:
        """What that node had countersigned; ``None`` for one that is not named."""
        return next((one.head for one in self.by_nodes if one.node == node), None)


Detail = (
    Started
    | Assigned
    | Released
    | OfBot
    | Destroyed
    | TenantDestroyed
    | Kept
    | ItemDestroyed
    | DocumentRead
    | Rotated
    | Copied
    | Resumed
)

DETAILS: dict[Tag, type[Detail]] = {
    Tag.SERVICE_STARTED: Started,
    Tag.BOT_ASSIGNED: Assigned,
    Tag.BOT_RELEASED: Released,
    Tag.BOT_FROZEN: OfBot,
    Tag.BOT_UNFROZEN: OfBot,
    Tag.BOT_DESTROYED: Destroyed,
    Tag.TENANT_DESTROYED: TenantDestroyed,
    Tag.ITEM_KEPT: Kept,
    Tag.ITEM_DESTROYED: ItemDestroyed,
    Tag.DOCUMENT_READ: DocumentRead,
    Tag.KEY_ROTATED: Rotated,
    Tag.BACKUP_MADE: Copied,
    Tag.AUDIT_RESUMED: Resumed,
}
"""The one form that each tag's detail has."""


def detail_of(tag: str, detail: str) -> Detail:
    """The typed detail of an entry; raises ``ValueError`` for a tag or a form that is not in the grammar."""
    return canonical(DETAILS[Tag(tag)], detail)
