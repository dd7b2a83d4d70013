"""``keys.db``: the key hierarchy, apart from the records that it opens.

master key → tenant keys → data keys → records. Everything here is wrapped; without the master key it is noise, and
without a row of it the record that it opened is noise for ever.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawmates.base.clock import stamp
from clawmates.base.secret import Secret
from clawmates.vault.checks import StartError
from clawmates.vault.database import Database, Schema, create_database, open_database
from clawmates.vault.envelope import EnvelopeError, Layer, Random, context, fresh_key, lock, unlock
from clawmates.vault.master import MasterKey

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.wire.vault import Binding

SCHEMA = Schema(
    mark=int.from_bytes(b"CMKY", "big"),
    version=1,
    tables="""
CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1), region TEXT NOT NULL, master TEXT NOT NULL, canary BLOB NOT NULL
) STRICT;
CREATE TABLE intake_keys (
    id TEXT PRIMARY KEY, public BLOB NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL,
    made TEXT NOT NULL, honoured_until TEXT
) STRICT;
CREATE TABLE tenant_keys (
    tenant TEXT NOT NULL, generation INTEGER NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, generation)
) STRICT;
CREATE TABLE data_keys (
    bot TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    tenant TEXT NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (bot, name, version),
    FOREIGN KEY (tenant, generation) REFERENCES tenant_keys
) STRICT;
""",
)
_CANARY = Secret(b"the master key opens this")


@dataclass(frozen=True, slots=True)
class PublicIntakeKey:
    """The raw X25519 key that items are sealed to."""

    id: str
    public: bytes


def create_keys(path: Path, region: str, master: MasterKey, random: Random, now: datetime) -> None:
    """A fresh ``keys.db``: the canary record and the first intake key. Raises ``OSError``."""
    private = X25519PrivateKey.from_private_bytes(random(32))
    public = private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(public).hexdigest()[:16]
    create_database(
        path,
        SCHEMA,
        (
            (
                "INSERT INTO vault VALUES (1, ?, ?, ?)",
                (region, master.id, master.wrap(Layer.CANARY, context(region), _CANARY)),
            ),
            (
                "INSERT INTO intake_keys VALUES (?, ?, ?, ?, ?, NULL)",
                (
                    key_id,
                    public,
                    master.id,
                    master.wrap(Layer.INTAKE_KEY, context(region, key_id), Secret(private.private_bytes_raw())),
                    stamp(now),
                ),
            ),
        ),
    )


def open_keys(path: Path, region: str, master: MasterKey, random: Random) -> KeyStore:
    """Opens ``keys.db`` and its canary record; raises :class:`~clawmates.vault.checks.StartError`."""
    database = open_database(path, SCHEMA)
    try:
        _check_canary(database, region, master)
    except StartError:
        database.close()
        raise
    return KeyStore(database, region, master, random)


def _check_canary(database: Database, region: str, master: MasterKey) -> None:
    row = database.connection.execute("SELECT region, canary FROM vault").fetchone()
    if row is None:
        raise StartError(f"{database.path} holds no canary record: restore it from its separate copy")
    if row[0] != region:
        raise StartError(f"{database.path} belongs to the region {row[0]!r}, the configuration says {region!r}")
    try:
        master.unwrap(Layer.CANARY, context(region), row[1])
    except EnvelopeError:
        raise StartError(f"the master key does not open {database.path}: it is another vault's key") from None


@dataclass(frozen=True, slots=True)
class KeyStore:
    """The open ``keys.db``. Errors are ``sqlite3.Error`` and :class:`~clawmates.vault.envelope.EnvelopeError`."""

    database: Database
    region: str
    master: MasterKey
    random: Random

    def intake_key(self) -> PublicIntakeKey:
        """The intake key to seal to now."""
        row = self.database.connection.execute(
            "SELECT id, public FROM intake_keys WHERE honoured_until IS NULL ORDER BY made DESC LIMIT 1"
        ).fetchone()
        return PublicIntakeKey(*row)

    def intake_private(self, key_id: str, now: datetime) -> Secret[bytes] | None:
        """The private half of an intake key that is still honoured; ``None`` for any other."""
        row = self.database.connection.execute(
            "SELECT wrapped, honoured_until FROM intake_keys WHERE id = ?", (key_id,)
        ).fetchone()
        if row is None or (row[1] is not None and datetime.fromisoformat(row[1]) <= now):
            return None
        return self.master.unwrap(Layer.INTAKE_KEY, context(self.region, key_id), row[0])

    def add(self, binding: Binding, data_key: Secret[bytes]) -> None:
        """Keeps a record's data key, wrapped by its tenant's; a half-done earlier try is replaced."""
        with self.database.transaction() as connection:
            generation, tenant_key = self._tenant_key(binding.tenant)
            wrapped = lock(tenant_key, Layer.DATA_KEY, binding.encode(), data_key, self.random)
            connection.execute(
                "INSERT OR REPLACE INTO data_keys VALUES (?, ?, ?, ?, ?, ?)",
                (binding.bot, binding.name.value, binding.version, binding.tenant, generation, wrapped),
            )

    def data_key(self, binding: Binding) -> Secret[bytes] | None:
        """The data key of one record; ``None`` when it was destroyed."""
        row = self.database.connection.execute(
            "SELECT k.wrapped, t.generation, t.wrapped FROM data_keys k JOIN tenant_keys t USING (tenant, generation)"
            " WHERE k.bot = ? AND k.name = ? AND k.version = ?",
            (binding.bot, binding.name.value, binding.version),
        ).fetchone()
        if row is None:
            return None
        tenant_key = self.master.unwrap(Layer.TENANT_KEY, self._about_tenant(binding.tenant, row[1]), row[2])
        return unlock(tenant_key, Layer.DATA_KEY, binding.encode(), row[0])

    def known(self) -> frozenset[tuple[str, str, int]]:
        """(bot, name, version) of every data key."""
        rows = self.database.connection.execute("SELECT bot, name, version FROM data_keys")
        return frozenset((bot, name, version) for bot, name, version in rows)

    def destroy(self, bot: str, *versions: tuple[str, int]) -> None:
        """Destroys a bot's data keys (or those of the given (name, version) only), and tenant keys left idle."""
        with self.database.transaction() as connection:
            if versions:
                connection.executemany(
                    "DELETE FROM data_keys WHERE bot = ? AND name = ? AND version = ?",
                    [(bot, name, version) for name, version in versions],
                )
            else:
                connection.execute("DELETE FROM data_keys WHERE bot = ?", (bot,))
            connection.execute(
                "DELETE FROM tenant_keys WHERE (tenant, generation) NOT IN (SELECT tenant, generation FROM data_keys)"
            )
        self.database.forget()

    def _tenant_key(self, tenant: str) -> tuple[int, Secret[bytes]]:
        """(generation, key) of the tenant's newest key, made at the first need; inside a transaction."""
        row = self.database.connection.execute(
            "SELECT generation, wrapped FROM tenant_keys WHERE tenant = ? ORDER BY generation DESC LIMIT 1", (tenant,)
        ).fetchone()
        if row is not None:
            return row[0], self.master.unwrap(Layer.TENANT_KEY, self._about_tenant(tenant, row[0]), row[1])
        key = fresh_key(self.random)
        wrapped = self.master.wrap(Layer.TENANT_KEY, self._about_tenant(tenant, 1), key)
        self.database.connection.execute(
            "INSERT INTO tenant_keys VALUES (?, 1, ?, ?)", (tenant, self.master.id, wrapped)
        )
        return 1, key

    def _about_tenant(self, tenant: str, generation: int) -> bytes:
        return context(self.region, tenant, str(generation))
