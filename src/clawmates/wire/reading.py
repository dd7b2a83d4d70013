"""Reading a document back: the vault seals it to a key that was made for this one reading (HPKE, RFC 9180).

Needs ``cryptography``; only the CLI, the vault and tests import it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clawmates.base.secret import Secret
from clawmates.wire.documents import ReadBack, SealedDocument, reading_info
from clawmates.wire.names import ItemName

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class ReadingError(ValueError):
    """The document cannot be sealed to this key, or does not open with it."""


def seal_for_reader(public: str, info: bytes, text: Secret[bytes]) -> str:
    """Base64 of HPKE enc ‖ ciphertext; raises :class:`ReadingError` for a key that is none."""
    try:
        key = X25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        return b64encode(bytes(_SUITE.encrypt(text.reveal(), key, info))).decode()
    except (binascii.Error, ValueError):
        raise ReadingError("not a reader's key") from None


@dataclass(frozen=True, slots=True)
class Reader:
    """A key pair for one reading, in RAM."""

    region: str
    tenant: str
    bot: str
    name: ItemName
    _private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate, repr=False)

    @property
    def request(self) -> ReadBack:
        """What to ask the vault."""
        return ReadBack(public=b64encode(self._private.public_key().public_bytes_raw()).decode())

    def open(self, document: SealedDocument) -> Secret[str]:
        """The text; raises :class:`ReadingError` when it was sealed for anything else."""
        info = reading_info(
            region=self.region, tenant=self.tenant, bot=self.bot, name=self.name, version=document.version
        )
        try:
            raw = _SUITE.decrypt(b64decode(document.sealed, validate=True), self._private, info)
            return Secret(bytes(raw).decode())
        except (InvalidTag, binascii.Error, ValueError):
            raise ReadingError("not sealed for this reader") from None
