"""Boxes within boxes: AES-256-GCM (NIST SP 800-38D) bound to what it holds, and HPKE (RFC 9180) at the way in.

A record is sealed by a data key of its own, the data key by its tenant's key, the tenant's key by the master key.
Each layer's associated data begins with a prefix of its own, so a box of one layer never opens as another's.
Pure: keys and nonces are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clawmates.base.secret import Secret

if TYPE_CHECKING:
    from clawmates.wire.vault import Binding

Random = Callable[[int], bytes]
"""``os.urandom`` or a test's stand-in: so many bytes."""

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FORMAT = b"\x01"
_KIN = b"clawmates-kin-v1\0"


class EnvelopeError(Exception):
    """The box does not open: another key, another context, or altered bytes."""


class Layer(Enum):
    """Which box of the hierarchy; the value is the prefix of its associated data."""

    RECORD = b"clawmates-record-v1\0"
    DATA_KEY = b"clawmates-data-key-v1\0"
    TENANT_KEY = b"clawmates-tenant-key-v1\0"
    INTAKE_KEY = b"clawmates-intake-key-v1\0"
    SIGNING_KEY = b"clawmates-signing-key-v1\0"
    BACKUP_KEY = b"clawmates-backup-key-v1\0"
    CANARY = b"clawmates-canary-v1\0"


def context(*fields: str) -> bytes:
    """Every field as four bytes of big-endian length and UTF-8; unambiguous, as ``Binding.encode`` is."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (field.encode() for field in fields))


def fresh_key(random: Random) -> Secret[bytes]:
    """A new AES-256 key."""
    return Secret(random(KEY_BYTES))


def lock(key: Secret[bytes], layer: Layer, about: bytes, plaintext: Secret[bytes], random: Random) -> bytes:
    """Format byte ‖ nonce ‖ ciphertext ‖ tag; ``about`` is the binding that must be shown again to open it."""
    nonce = random(NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key.reveal()).encrypt(nonce, plaintext.reveal(), layer.value + about)


def unlock(key: Secret[bytes], layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
    """The plaintext of :func:`lock`; raises :class:`EnvelopeError`, which says nothing of the content."""
    if len(box) < len(_FORMAT) + NONCE_BYTES + TAG_BYTES or not box.startswith(_FORMAT):
        raise EnvelopeError
    nonce, sealed = box[1 : 1 + NONCE_BYTES], box[1 + NONCE_BYTES :]
    try:
        return Secret(AESGCM(key.reveal()).decrypt(nonce, sealed, layer.value + about))
    except InvalidTag:
        raise EnvelopeError from None


def receive(private: Secret[bytes], binding: Binding, sealed: bytes) -> Secret[bytes]:
    """Opens what was sealed to the intake key: HPKE, the binding as ``info``. Raises :class:`EnvelopeError`."""
    try:
        opened = SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private.reveal()), binding.encode())
    except (InvalidTag, ValueError):
        raise EnvelopeError from None
    return Secret(opened)


def kin_of(data_key: Secret[bytes], about: bytes) -> Secret[str]:
    """What containers of one bot know each other by (HKDF-SHA256, RFC 5869): it says nothing of the key."""
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_KIN + about).derive(data_key.reveal())
    return Secret(derived.hex())
