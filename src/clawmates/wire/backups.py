"""What a hosted platform's backup holds of control's database, and how a tenant's rows are sealed in it (ADR 25).

The file is lines of JSON: a :class:`Head`, a :class:`Table` for each that is about nobody, a :class:`Sealed` for each
account. A box is HPKE (RFC 9180, base mode; X25519, HKDF-SHA256, AES-256-GCM) to the tenant's backup key, whose private
half is in the vault's ``keys.db`` and nowhere in the backup; ``info`` binds region and tenant. In it is zlib
(RFC 1950) of a :class:`Rows`.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clawmates.wire.names import check_bot_id

if TYPE_CHECKING:
    from clawmates.base.secret import Secret

FORMAT = 1
MOST_TENANTS = 500
"""In one call."""
MOST_BYTES = 256 << 20
"""Of all lines."""
_INFO = b"clawmates-account-rows-v1\0"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

Cell: TypeAlias = str | None
"""Bytes are Base64, moments and days ISO 8601, numbers in digits; the column says which."""


class RowsError(Exception):
    """The box does not open: another key, another tenant, or altered bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKeysRequest:
    """``POST /v1/backup-keys`` at the vault. ``make``: a tenant that has none is given one."""

    tenants: tuple[str, ...]
    make: bool

    def __post_init__(self) -> None:
        if len(self.tenants) > MOST_TENANTS:
            raise ValueError("too many tenants in one call")
        for tenant in self.tenants:
            check_bot_id(tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKey:
    """A tenant, and the public X25519 key that their rows are sealed to (Base64)."""

    tenant: str
    public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKeys:
    """Of those tenants that have one."""

    keys: tuple[BackupKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line. ``leaving``: accounts whose deletion was under way; of them there is nothing but the number."""

    format: int
    software: str
    schema: str
    region: str
    at: str
    accounts: int
    leaving: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of one table, each as long as ``columns``."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All that there is of one account."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An account's line; ``box`` is Base64 of HPKE enc ‖ ciphertext."""

    tenant: str
    box: str


def _info(region: str, tenant: str) -> bytes:
    return _INFO + b"".join(len(raw).to_bytes(4, "big") + raw for raw in (region.encode(), tenant.encode()))


def seal_rows(public: str, region: str, tenant: str, plain: bytes) -> Sealed:
    """Only the holder of the tenant's private backup key opens it. Raises ``ValueError`` for what is no key."""
    recipient = X25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
    box = _SUITE.encrypt(zlib.compress(plain, 6), recipient, _info(region, tenant))
    return Sealed(tenant=tenant, box=base64.b64encode(bytes(box)).decode())


def open_rows(private: Secret[bytes], region: str, sealed: Sealed) -> bytes:
    """The other way; raises :class:`RowsError`, which says nothing of what is inside."""
    try:
        key = X25519PrivateKey.from_private_bytes(private.reveal())
        opened = _SUITE.decrypt(base64.b64decode(sealed.box, validate=True), key, _info(region, sealed.tenant))
        unpacked = zlib.decompressobj()
        plain = unpacked.decompress(opened, MOST_BYTES)
    except (InvalidTag, ValueError, zlib.error):
        raise RowsError(RowsError.__doc__) from None
    if not unpacked.eof:
        raise RowsError(RowsError.__doc__)
    return plain
