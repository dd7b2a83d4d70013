"""A receipt for a deleted account: control's word and the vault's, in one file that is checked years later.

The file holds everything that is needed to check it but trust in the two public keys: compare those with what the
platform has shown. Signed is a prefix and the file as canonical JSON (:func:`~clawmates.base.shape.encode_json`)
without the signature; the vault's own receipt (:mod:`clawmates.wire.receipt`) is part of it. Needs ``cryptography``.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clawmates.base.shape import encode_json
from clawmates.wire.receipt import ReceiptError, SignedReceipt, Subject
from clawmates.wire.receipt import check as check_vaults

SIGNED_PREFIX = b"clawmates-erasure-receipt-v1\0"


class Ended(StrEnum):
    """How it is known that a bot's container runs no more."""

    NODE = "node"
    """Its node has said that container and door are gone."""
    LEASE = "lease"
    """Its node was silent until the last right to run it had ended, and then for a minute more."""
    NOWHERE = "nowhere"
    """It had been given to no node."""


class Log(StrEnum):
    """What became of the write-ahead log, which holds what was written before."""

    EMPTIED = "emptied"
    """No file of it is older than the deletion."""
    LEFT = "left"
    """The database server keeps it for as long as it likes: its operator was told, and control has no right to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """So many rows of one entry of the public list of what is stored (``datum`` is its id)."""

    datum: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedBot:
    """A bot that the account had when its deletion was asked for."""

    bot: str
    by: Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was deleted. Moments are RFC 3339, UTC. Of values there is none: ids that were drawn, names and counts."""

    id: str
    region: str
    account: str
    asked: str
    erased: str
    """The rows were deleted."""
    rewritten: str
    """The files that had held them were written anew without them."""
    issued: str
    data: tuple[Gone, ...]
    bots: tuple[EndedBot, ...]
    log: Log
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """The file. Keys are raw Ed25519, Base64."""

    erasure: Erasure
    vault: SignedReceipt
    control_key: str
    vault_key: str
    signature: str = ""


def key_name(public: str) -> str:
    """A short name of a public key, to be compared by eye."""
    return sha256(public.encode()).hexdigest()[:16]


def public_of(private: Ed25519PrivateKey) -> str:
    """Base64 of its public half."""
    return b64encode(private.public_key().public_bytes_raw()).decode()


def sign(private: Ed25519PrivateKey, erasure: Erasure, vault: SignedReceipt, vault_key: str) -> ErasureReceipt:
    """Signs it."""
    receipt = ErasureReceipt(erasure=erasure, vault=vault, control_key=public_of(private), vault_key=vault_key)
    return replace(receipt, signature=b64encode(private.sign(_signed(receipt))).decode())


def check(receipt: ErasureReceipt) -> Erasure:
    """What it says, once both signatures are known to be those of the keys in it. Raises :class:`ReceiptError`.

    Whose keys these are is for the caller to know.
    """
    vaults = check_vaults(receipt.vault_key, receipt.vault)
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(receipt.control_key, validate=True))
        key.verify(b64decode(receipt.signature, validate=True), _signed(receipt))
    except (binascii.Error, ValueError, InvalidSignature):
        raise ReceiptError(ReceiptError.__doc__) from None
    about = (vaults.subject, vaults.name, vaults.region)
    if about != (Subject.TENANT, receipt.erasure.account, receipt.erasure.region):
        raise ReceiptError("The vault's part of the receipt is about something else.")
    return receipt.erasure


def _signed(receipt: ErasureReceipt) -> bytes:
    return SIGNED_PREFIX + encode_json(replace(receipt, signature=""))
