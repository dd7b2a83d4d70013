"""The audit chain: how one entry follows from the one before, and what is countersigned.

Every entry's hash covers the hash before it, so nothing before a known head can change unseen. A head is signed by the
chain's owner and countersigned by its counterpart each minute; both keep what they signed. The vault keeps a chain,
which node countersigns; on a hosted platform control keeps one too, and the two countersign each other's. What is
written down: :mod:`clawmates.wire.vault_deeds`, :mod:`clawmates.wire.deeds`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.names import check_bot_id

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
_ENTRY = b"clawmates-audit-entry-v1\0"
_HEAD = b"clawmates-audit-head-v1\0"
_WITNESS = b"clawmates-audit-witness-v1\0"
_LINE = b"clawmates-audit-line-v1\0"


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
