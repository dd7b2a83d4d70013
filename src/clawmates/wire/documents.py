"""Reading a document back; the sealing itself is in :mod:`clawmates.wire.reading`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawmates.wire.names import ItemName

READ_FORMAT = "clawmates-read-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Its owner wants to read a document: the raw X25519 key, Base64, that it is sealed to; used once."""

    public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDocument:
    """The newest version, sealed to that key: Base64 of HPKE enc ‖ ciphertext, ``info`` as :func:`reading_info`."""

    version: int
    sealed: str


def reading_info(*, region: str, tenant: str, bot: str, name: ItemName, version: int) -> bytes:
    """What a document that is read back is bound to, every field with its length."""
    fields = (READ_FORMAT, region, tenant, bot, name.value, str(version))
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (field.encode() for field in fields))
