"""A receipt for a destruction: what was destroyed, when, by which software, signed by the vault (Ed25519, RFC 8032).

A receipt is checked later and elsewhere, with the vault's public receipt key and this module alone. What is signed is
a prefix and the receipt as canonical JSON (sorted keys, no spaces, UTF-8: :func:`~clawmates.base.shape.encode_json`).
Needs ``cryptography``; no mate imports it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clawmates.base.shape import encode_json
from clawmates.wire.names import ItemName

SIGNED_PREFIX = b"clawmates-destruction-receipt-v1\0"
MAX_RECEIPT = 4 << 20
"""Bytes of JSON: a tenant with thousands of bots fits."""


class ReceiptError(ValueError):
    """The receipt was not signed by this key, or was changed since."""


class Subject(StrEnum):
    """What was destroyed as a whole."""

    BOT = "bot"
    TENANT = "tenant"


class KeysCopy(StrEnum):
    """What became of the separate copy of ``keys.db``."""

    NONE = "none"
    """None is configured."""
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedItem:
    """One version of one item; its data key is gone."""

    bot: str
    name: ItemName
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was destroyed. ``asked`` and ``destroyed`` are RFC 3339, UTC; ``key_id`` names the signing key."""

    id: str
    region: str
    subject: Subject
    name: str
    """The bot's or the tenant's name."""
    tenant: str
    bots: tuple[str, ...]
    items: tuple[DestroyedItem, ...]
    tenant_keys: int
    """How many keys of the tenant went with it: all of them for a tenant, or with its last item."""
    asked: str
    destroyed: str
    keys_copy: KeysCopy
    software: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt:
    """A receipt and the Base64 of its signature."""

    receipt: Receipt
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptKey:
    """The vault's public receipt key: raw Ed25519, Base64."""

    key_id: str
    region: str
    public: str


def sign(private: Ed25519PrivateKey, receipt: Receipt) -> SignedReceipt:
    """Signs a receipt."""
    signature = private.sign(SIGNED_PREFIX + encode_json(receipt))
    return SignedReceipt(receipt=receipt, signature=b64encode(signature).decode())


def check(public: str, signed: SignedReceipt) -> Receipt:
    """The receipt, once its signature is known to be that of ``public`` (Base64); raises :class:`ReceiptError`."""
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        key.verify(b64decode(signed.signature, validate=True), SIGNED_PREFIX + encode_json(signed.receipt))
    except (binascii.Error, ValueError, InvalidSignature):
        raise ReceiptError(ReceiptError.__doc__) from None
    return signed.receipt
