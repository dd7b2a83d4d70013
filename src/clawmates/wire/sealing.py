"""Sealing an item to the vault at its source: HPKE base mode (RFC 9180), the binding as ``info``.

Needs ``cryptography``; only the CLI and tests import it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clawmates.wire.vault import MAX_ITEM_BYTES, SealedItem, sealed_text

if TYPE_CHECKING:
    from clawmates.base.secret import Secret
    from clawmates.wire.vault import Binding

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealingError(ValueError):
    """The item cannot be sealed."""


def seal(public: str, binding: Binding, plaintext: Secret[str]) -> SealedItem:
    """Seals UTF-8 text to the intake key ``public`` (:class:`~clawmates.wire.vault.IntakeKey`).

    Raises :class:`SealingError` for a key that is none, and for text that the vault would not keep.
    """
    try:
        key = X25519PublicKey.from_public_bytes(b64decode(public, validate=True))
    except (binascii.Error, ValueError):
        raise SealingError("the vault's intake key is malformed") from None
    try:
        raw = plaintext.reveal().encode()
    except UnicodeEncodeError:
        raise SealingError("the text is not valid Unicode") from None
    if len(raw) > MAX_ITEM_BYTES:
        raise SealingError(f"the text is larger than {MAX_ITEM_BYTES} bytes")
    sealed = _SUITE.encrypt(raw, key, binding.encode())
    return SealedItem(
        key_id=binding.key_id, tenant=binding.tenant, hosts=binding.hosts, sealed=sealed_text(bytes(sealed))
    )
