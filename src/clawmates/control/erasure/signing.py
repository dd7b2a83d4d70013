"""Control's key for receipts: drawn from the platform's pepper, so that all replicas have the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from clawmates.base.secret import Secret

_INFO = b"clawmates-erasure-receipt-key-v1"


def receipt_key(pepper: Secret[bytes]) -> Ed25519PrivateKey:
    """The same for the same pepper (HKDF, RFC 5869): a receipt of years ago still names it."""
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(pepper.reveal())
    return Ed25519PrivateKey.from_private_bytes(seed)
