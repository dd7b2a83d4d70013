"""The vault's two databases, read by somebody else's hand: from raw bytes, with the formats of docs/vault.md alone.

Nothing of the vault's own code is used, so what opens here opens by the formats, and what does not is noise.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from pathlib import Path

AES_256 = 32
_FORMAT, _NONCE, _TAG = 1, 12, 16
_RECORD, _DATA_KEY, _TENANT_KEY = b"clawmates-record-v1\0", b"clawmates-data-key-v1\0", b"clawmates-tenant-key-v1\0"
_BINDING = "clawmates-seal-v1"
_MASTER_ID = b"clawmates-master-id-v1\0"
ROWS = """
SELECT r.bot, r.name, r.version, r.key_id, r.hosts, r.box, b.tenant FROM records r JOIN bots b USING (bot)
ORDER BY r.bot, r.name, r.version
"""
KEYS = """
SELECT k.bot, k.name, k.version, k.generation, k.wrapped, t.wrapped, t.master
FROM data_keys k JOIN tenant_keys t USING (tenant, generation)
"""


class UnreadableError(Exception):
    """No such file, or not of the vault's format."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a record is bound to, field by field."""

    key_id: str
    region: str
    tenant: str
    bot: str
    name: str
    version: int
    hosts: tuple[str, ...]

    def encode(self) -> bytes:
        """Every field behind its length."""
        fields = (self.key_id, self.region, self.tenant, self.bot, self.name, str(self.version), str(len(self.hosts)))
        return lengths(_BINDING, *fields, *self.hosts)


@dataclass(frozen=True, slots=True)
class Kept:
    """One record with the boxes around it; the key boxes are empty where its key was destroyed."""

    binding: Binding
    box: bytes = field(repr=False)
    generation: int = 0
    data_key: bytes = field(default=b"", repr=False)
    tenant_key: bytes = field(default=b"", repr=False)
    master: str = ""

    @property
    def title(self) -> str:
        """Which one."""
        return f"{self.binding.bot}, {self.binding.name}, version {self.binding.version}"

    @property
    def nonces(self) -> tuple[bytes, ...]:
        """Of the record and of its data key."""
        return tuple(one[_FORMAT : _FORMAT + _NONCE] for one in (self.box, self.data_key) if one)


def lengths(*fields: str) -> bytes:
    """Each field as four bytes of big-endian length and UTF-8."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (one.encode() for one in fields))


def master_id(master: bytes) -> str:
    """The name by which rows say what they are wrapped with."""
    return hashlib.sha256(_MASTER_ID + master).hexdigest()[:16]


def raw(path: Path) -> bytes:
    """A file as it lies there, whoever has it open. Raises :class:`UnreadableError`."""
    try:
        return path.read_bytes()
    except OSError:
        raise UnreadableError from None


def born(keys: bytes) -> datetime:
    """When the vault was set up, by its own clock: its first signing key is of that moment.

    Raises :class:`UnreadableError`.
    """
    try:
        with closing(_database(keys)) as connection:
            return datetime.fromisoformat(connection.execute("SELECT min(made) FROM signing_keys").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError):
        raise UnreadableError from None


def kept(records: bytes, keys: bytes) -> tuple[Kept, ...]:
    """Every record of ``vault.db``, with its keys from ``keys.db``. Raises :class:`UnreadableError`."""
    try:
        with closing(_database(keys)) as connection:
            region = connection.execute("SELECT region FROM vault").fetchone()[0]
            wrapped = {tuple(row[:3]): row[3:] for row in connection.execute(KEYS)}
        with closing(_database(records)) as connection:
            rows = connection.execute(ROWS).fetchall()
    except (sqlite3.Error, TypeError, IndexError):
        raise UnreadableError from None
    found = []
    for bot, name, version, key_id, hosts, box, tenant in rows:
        binding = Binding(key_id, region, tenant, bot, name, version, tuple(json.loads(hosts)))
        found.append(Kept(binding, box, *wrapped.get((bot, name, version), ())))
    return tuple(found)


def _database(image: bytes) -> sqlite3.Connection:
    if not image:
        raise UnreadableError
    connection = sqlite3.connect(":memory:")
    connection.deserialize(image)
    return connection


def data_key(one: Kept, master: bytes) -> bytes | None:
    """The record's own key, through its tenant's; ``None`` when it does not open."""
    about = lengths(one.binding.region, one.binding.tenant, str(one.generation))
    tenant_key = unseal(master, _TENANT_KEY + about, one.tenant_key)
    return None if tenant_key is None else unseal(tenant_key, _DATA_KEY + one.binding.encode(), one.data_key)


def open_record(one: Kept, master: bytes) -> bytes | None:
    """What was kept; ``None`` when it does not open."""
    key = data_key(one, master)
    return None if key is None else unseal(key, _RECORD + one.binding.encode(), one.box)


def unseal(key: bytes, about: bytes, box: bytes) -> bytes | None:
    """Format byte ‖ nonce ‖ ciphertext ‖ tag, by AES-GCM (NIST SP 800-38D); ``None`` when it does not open."""
    if len(box) < _FORMAT + _NONCE + _TAG or box[0] != _FORMAT or len(key) != AES_256:
        return None
    try:
        return AESGCM(key).decrypt(box[_FORMAT : _FORMAT + _NONCE], box[_FORMAT + _NONCE :], about)
    except InvalidTag:
        return None


def seal_record(one: Kept, master: bytes, plaintext: bytes, random: bytes) -> Kept:
    """The reverse, for controls: ``one`` with fresh boxes of all three layers. ``random``: two keys, three nonces."""
    tenant_key, key = random[:AES_256], random[AES_256 : 2 * AES_256]
    nonces = [random[2 * AES_256 + at : 2 * AES_256 + at + _NONCE] for at in range(0, 3 * _NONCE, _NONCE)]
    about = lengths(one.binding.region, one.binding.tenant, str(one.generation))
    return replace(
        one,
        tenant_key=_seal(master, _TENANT_KEY + about, tenant_key, nonces[0]),
        data_key=_seal(tenant_key, _DATA_KEY + one.binding.encode(), key, nonces[1]),
        box=_seal(key, _RECORD + one.binding.encode(), plaintext, nonces[2]),
        master=master_id(master),
    )


def _seal(key: bytes, about: bytes, plaintext: bytes, nonce: bytes) -> bytes:
    return bytes([_FORMAT]) + nonce + AESGCM(key).encrypt(nonce, plaintext, about)


def disguises(one: Kept) -> dict[str, Kept]:
    """The same boxes under another binding: each must stay closed."""
    binding = one.binding
    others = {
        "another bot": replace(binding, bot=f"{binding.bot}-x"),
        "another tenant": replace(binding, tenant=f"{binding.tenant}-x"),
        "another item": replace(binding, name=f"{binding.name}-x"),
        "another version": replace(binding, version=binding.version + 1),
        "another host": replace(binding, hosts=("elsewhere.example",)),
        "another region": replace(binding, region=f"{binding.region}-x"),
        "another intake key": replace(binding, key_id=f"{binding.key_id}-x"),
    }
    return {what: replace(one, binding=other) for what, other in others.items()}
