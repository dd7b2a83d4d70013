"""The audit chain: what is written down, how one entry follows from the one before, and what is countersigned.

Every entry's hash covers the hash before it, so nothing before a known head can change unseen. A head is signed by the
chain's owner and countersigned by its counterpart each minute; both keep what they signed. The vault keeps a chain,
which node countersigns; on a hosted platform control keeps one too (:mod:`clawmates.wire.deeds`), and the two
countersign each other's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.names import ItemName, check_bot_id, check_receipt_id

T = TypeVar("T")

COUNTERSIGN_SECONDS = 60
"""How often heads are exchanged: what is younger than this may be unsigned."""
PAGE = 500
"""Entries or heads in one answer."""
MOST_BOTS = 500
"""In one question."""
KEPT_WORDS = 10_000
"""Countersignatures that each side keeps at least, once there were so many: newer heads cover what older ones did."""
GENESIS = bytes(32)
"""What the first entry follows."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENTRY = b"clawmates-audit-entry-v1\0"
_HEAD = b"clawmates-audit-head-v1\0"
_WITNESS = b"clawmates-audit-witness-v1\0"
_LINE = b"clawmates-audit-line-v1\0"


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
class Head:
    """How far a chain has come: its last number and hash (hex). Number 0 is the empty chain."""

    number: int
    hash: str

    def __post_init__(self) -> None:
        if not 0 <= self.number < 1 << 53:
            raise ValueError("no chain is that long")


EMPTY = Head(number=0, hash=GENESIS.hex())


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row as it is kept and sent: ``detail`` is canonical JSON, ``hash`` hex. Nothing here has been checked."""

    number: int
    at: str
    tag: str
    detail: str
    hash: str
    subject: str = ""
    """The pseudonym of the person it concerns; empty in the vault's chain, and where it is nobody or everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A page of the chain, oldest first."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The owner's word: its head now, and (to show that nothing before changed) its hash at the number asked for."""

    head: Head
    before: Head
    """The head that the counterpart signed last, as the owner has it."""
    at: str
    certificate: str
    """PEM, of the owner's service certificate."""
    signature: str
    """Base64 of ECDSA over :func:`head_bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The counterpart's word on a head, and the head of its own list of such words."""

    head: Head
    line: Head
    """The last line of the counterpart's own list, which holds this very head."""
    at: str
    certificate: str
    signature: str
    """Base64 of ECDSA over :func:`witness_bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """A page of what counterparts signed, oldest first; ``last`` asks for the next page."""

    witnesses: tuple[Witness, ...]
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the counterpart's own list: what the owner had signed, chained like the entries themselves."""

    number: int
    said: SignedHead
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A page of such lines, the oldest first."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The newest entries that concern these bots, at most ``most`` of them, none younger than ``until`` (a stamp)."""

    bots: tuple[str, ...]
    until: str
    most: int = PAGE

    def __post_init__(self) -> None:
        if len(self.bots) > MOST_BOTS or not 0 < self.most <= PAGE:
            raise ValueError("too many")
        for bot in self.bots:
            check_bot_id(bot)


def chained(previous: bytes, number: int, at: str, tag: str, detail: str, subject: str = "") -> bytes:
    """The hash of an entry: SHA-256 over a prefix, the hash before, and the fields, each with its length.

    An empty subject is no field at all; with their lengths before them, four fields are never five.
    """
    return _digest(_ENTRY, previous, _fields(str(number), at, tag, detail, *((subject,) if subject else ())))


def chained_line(previous: bytes, number: int, said: SignedHead) -> bytes:
    """The hash of a line in the counterpart's list."""
    return _digest(_LINE, previous, _fields(str(number), encode_json(said).decode()))


def head_bytes(region: str, head: Head, at: str) -> bytes:
    """What the owner of a chain signs."""
    return _HEAD + _fields(region, str(head.number), head.hash, at)


def witness_bytes(region: str, head: Head, line: Head, at: str) -> bytes:
    """What the counterpart signs."""
    return _WITNESS + _fields(region, str(head.number), head.hash, str(line.number), line.hash, at)


def detail_of(tag: str, detail: str) -> Detail:
    """The typed detail of an entry; raises ``ValueError`` for a tag or a form that is not in the grammar."""
    return canonical(DETAILS[Tag(tag)], detail)


def canonical(cls: type[T], text: str) -> T:
    """A ``cls`` from its canonical JSON; raises ``ValueError`` for any other text, also where it means the same."""
    found = decode_json(cls, text.encode())
    if encode_json(found).decode() != text:
        raise ShapeError("detail", "is not canonical")
    return found


def _digest(prefix: bytes, previous: bytes, fields: bytes) -> bytes:
    return hashlib.sha256(prefix + previous + fields).digest()


def _fields(*fields: str) -> bytes:
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (field.encode() for field in fields))
