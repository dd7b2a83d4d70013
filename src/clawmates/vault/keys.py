"""``keys.db``: the key hierarchy, apart from the records that it opens.

master key → tenant keys → data keys → records. Everything here is wrapped; without the master key it is noise, and
without a row of it the record that it opened is noise for ever. Beside the hierarchy it holds the key that signs
receipts, and the destructions themselves (:mod:`clawmates.vault.destruction`), because a key's deletion and the note of
what is still to be done must be one transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawmates.base.clock import stamp
from clawmates.base.secret import Secret
from clawmates.vault.checks import StartError
from clawmates.vault.database import Database, Schema, create_database, open_database
from clawmates.vault.envelope import EnvelopeError, Layer, Random, context, fresh_key, lock, unlock
from clawmates.vault.master import MasterKey, MasterRing, MasterUnavailableError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from clawmates.vault.masters import Masters
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
    additions="""
CREATE TABLE IF NOT EXISTS signing_keys (
    id TEXT PRIMARY KEY, public BLOB NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL, made TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS backup_keys (
    tenant TEXT PRIMARY KEY, public BLOB NOT NULL, master TEXT NOT NULL, wrapped BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS destructions (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, name TEXT NOT NULL, asked TEXT NOT NULL,
    plan TEXT NOT NULL, receipt TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS owed_entries (destruction TEXT PRIMARY KEY REFERENCES destructions) STRICT;
CREATE INDEX IF NOT EXISTS pending_destructions ON destructions (asked) WHERE receipt IS NULL;
""",
)
HONOURED = timedelta(days=7)
"""How long an intake key is still honoured once another has taken its place."""
_SLACK = timedelta(hours=1)
_CANARY = Secret(b"the master key opens this")


@dataclass(frozen=True, slots=True)
class PublicIntakeKey:
    """The raw X25519 key that items are sealed to."""

    id: str
    public: bytes


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs receipts."""

    id: str
    public: bytes
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key pair made here; its id is a hash of the public half."""

    id: str
    public: bytes
    private: Secret[bytes]

    @classmethod
    def intake(cls, random: Random) -> _Pair:
        """X25519."""
        private = X25519PrivateKey.from_private_bytes(random(32))
        return cls._of(private.public_key().public_bytes_raw(), private.private_bytes_raw())

    @classmethod
    def signing(cls, random: Random) -> _Pair:
        """Ed25519."""
        private = Ed25519PrivateKey.from_private_bytes(random(32))
        return cls._of(private.public_key().public_bytes_raw(), private.private_bytes_raw())

    @classmethod
    def _of(cls, public: bytes, private: bytes) -> _Pair:
        return cls(hashlib.sha256(public).hexdigest()[:16], public, Secret(private))


_ADD_INTAKE = "INSERT INTO intake_keys VALUES (?, ?, ?, ?, ?, NULL)"
_ADD_SIGNING = "INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?)"


WRAPPED = ("tenant_keys", "intake_keys", "signing_keys", "backup_keys", "vault")
"""The tables whose rows are wrapped by a master key, which their column ``master`` names."""


def honoured(until: datetime, now: datetime) -> bool:
    """Whether an old intake key opens what is sealed to it.

    One that would live longer than any may was seen by a clock that has since been set back: it is not honoured.
    """
    return now < until <= now + HONOURED + _SLACK


def drop_idle(connection: sqlite3.Connection) -> int:
    """Deletes tenant keys that wrap nothing; says how many. The newest stays while others of its tenant are in use."""
    return connection.execute(
        "DELETE FROM tenant_keys AS t"
        " WHERE NOT EXISTS (SELECT 1 FROM data_keys k WHERE k.tenant = t.tenant AND k.generation = t.generation)"
        " AND NOT (EXISTS (SELECT 1 FROM data_keys k WHERE k.tenant = t.tenant)"
        " AND t.generation = (SELECT max(generation) FROM tenant_keys n WHERE n.tenant = t.tenant))"
    ).rowcount


def create_keys(path: Path, region: str, master: MasterKey, random: Random, now: datetime) -> None:
    """A fresh ``keys.db``: the canary record and the first intake key. Raises ``OSError``."""
    create_database(
        path,
        SCHEMA,
        (
            (
                "INSERT INTO vault VALUES (1, ?, ?, ?)",
                (region, master.id, master.wrap(Layer.CANARY, context(region), _CANARY)),
            ),
            (_ADD_INTAKE, _row(Layer.INTAKE_KEY, _Pair.intake(random), region, master, now)),
            (_ADD_SIGNING, _row(Layer.SIGNING_KEY, _Pair.signing(random), region, master, now)),
        ),
    )


def _row(layer: Layer, pair: _Pair, region: str, master: MasterKey, now: datetime) -> tuple[object, ...]:
    wrapped = master.wrap(layer, context(region, pair.id), pair.private)
    return pair.id, pair.public, master.id, wrapped, stamp(now)


def open_keys(path: Path, region: str, masters: Masters, random: Random) -> KeyStore:
    """Opens ``keys.db`` and its canary record; raises :class:`~clawmates.vault.checks.StartError`."""
    ring = masters.open(create=False)
    database = open_database(path, SCHEMA)
    try:
        if not wrapped_by(database) <= ring.ids:
            masters.open_old(ring)
        _check_canary(database, region, ring)
    except (StartError, MasterUnavailableError):
        database.close()
        raise
    return KeyStore(database, region, ring, random)


def wrapped_by(database: Database) -> frozenset[str]:
    """The ids of the master keys that anything here is wrapped with."""
    rows = database.connection.execute(" UNION ".join(f"SELECT master FROM {table}" for table in WRAPPED))  # noqa: S608 - our own names
    return frozenset(master for (master,) in rows)


def _check_canary(database: Database, region: str, master: MasterRing) -> None:
    row = database.connection.execute("SELECT region, canary FROM vault").fetchone()
    if row is None:
        raise StartError(f"{database.path} holds no canary record: restore it from its separate copy")
    if row[0] != region:
        raise StartError(f"{database.path} belongs to the region {row[0]!r}, the configuration says {region!r}")
    try:
        master.unwrap(Layer.CANARY, context(region), row[1])
    except EnvelopeError:
        raise StartError(f"the master key does not open {database.path}: it is another vault's key") from None
    if not wrapped_by(database) <= master.ids:
        raise StartError(f"{database.path} is partly under another master key: name it as [vault] old_master_key")


@dataclass(frozen=True, slots=True)
class KeyStore:
    """The open ``keys.db``.

    Errors are ``sqlite3.Error``, :class:`~clawmates.vault.envelope.EnvelopeError` and
    :class:`~clawmates.vault.master.MasterUnavailableError`.
    """

    database: Database
    region: str
    master: MasterRing
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
        if row is None or (row[1] is not None and not honoured(datetime.fromisoformat(row[1]), now)):
            return None
        return self.master.unwrap(Layer.INTAKE_KEY, context(self.region, key_id), row[0])

    def rotate_intake(self, now: datetime) -> None:
        """A new intake key; the present one is honoured for :data:`HONOURED`, then destroyed."""
        row = _row(Layer.INTAKE_KEY, _Pair.intake(self.random), self.region, self.master, now)
        with self.database.transaction() as connection:
            until = stamp(now + HONOURED)
            connection.execute("UPDATE intake_keys SET honoured_until = ? WHERE honoured_until IS NULL", (until,))
            connection.execute(_ADD_INTAKE, row)

    def expire_intake(self, now: datetime) -> int:
        """Destroys intake keys that are honoured no longer; says how many. Their bytes are cleared by ``forget``."""
        with self.database.transaction() as connection:
            gone = connection.execute("DELETE FROM intake_keys WHERE honoured_until <= ?", (stamp(now),))
        return gone.rowcount

    def honoured_intake(self) -> int:
        """How many old intake keys there are."""
        (count,) = self.database.connection.execute(
            "SELECT count(*) FROM intake_keys WHERE honoured_until IS NOT NULL"
        ).fetchone()
        return int(count)

    def ensure_signing(self, now: datetime) -> None:
        """Makes the key that signs receipts, where there is none."""
        if self.database.connection.execute("SELECT EXISTS (SELECT 1 FROM signing_keys)").fetchone()[0]:
            return
        row = _row(Layer.SIGNING_KEY, _Pair.signing(self.random), self.region, self.master, now)
        with self.database.transaction() as connection:
            connection.execute(_ADD_SIGNING, row)

    def signing_key(self) -> SigningKey:
        """The key that signs receipts; it stays the same, so that old receipts can be checked."""
        key_id, public, wrapped = self.database.connection.execute(
            "SELECT id, public, wrapped FROM signing_keys ORDER BY made LIMIT 1"
        ).fetchone()
        private = self.master.unwrap(Layer.SIGNING_KEY, context(self.region, key_id), wrapped)
        return SigningKey(key_id, public, Ed25519PrivateKey.from_private_bytes(private.reveal()))

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

    def items_of(self, bot: str) -> frozenset[tuple[str, int]]:
        """(name, version) of every data key of a bot."""
        rows = self.database.connection.execute("SELECT name, version FROM data_keys WHERE bot = ?", (bot,))
        return frozenset((name, version) for name, version in rows)

    def bots_of(self, tenant: str) -> frozenset[str]:
        """Bots that have a data key under one of the tenant's keys."""
        rows = self.database.connection.execute("SELECT DISTINCT bot FROM data_keys WHERE tenant = ?", (tenant,))
        return frozenset(bot for (bot,) in rows)

    def destroy(self, bot: str, *versions: tuple[str, int]) -> None:
        """Deletes the data keys of a bot's (name, version)s; ``database.forget()`` then clears the last bytes."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM data_keys WHERE bot = ? AND name = ? AND version = ?",
                [(bot, name, version) for name, version in versions],
            )
            drop_idle(connection)

    def _tenant_key(self, tenant: str) -> tuple[int, Secret[bytes]]:
        """(generation, key) of the tenant's newest key, made at the first need; inside a transaction."""
        row = self.database.connection.execute(
            "SELECT generation, wrapped FROM tenant_keys WHERE tenant = ? ORDER BY generation DESC LIMIT 1", (tenant,)
        ).fetchone()
        if row is not None:
            return row[0], self.master.unwrap(Layer.TENANT_KEY, self._about_tenant(tenant, row[0]), row[1])
        return 1, self.add_tenant_key(tenant, 1)

    def add_tenant_key(self, tenant: str, generation: int) -> Secret[bytes]:
        """Makes a tenant's key; inside a transaction."""
        key = fresh_key(self.random)
        wrapped = self.master.wrap(Layer.TENANT_KEY, self._about_tenant(tenant, generation), key)
        self.database.connection.execute(
            "INSERT INTO tenant_keys VALUES (?, ?, ?, ?)", (tenant, generation, self.master.id, wrapped)
        )
        return key

    def tenant_key(self, tenant: str, generation: int) -> Secret[bytes]:
        """One generation of a tenant's key."""
        (wrapped,) = self.database.connection.execute(
            "SELECT wrapped FROM tenant_keys WHERE tenant = ? AND generation = ?", (tenant, generation)
        ).fetchone()
        return self.master.unwrap(Layer.TENANT_KEY, self._about_tenant(tenant, generation), wrapped)

    def _about_tenant(self, tenant: str, generation: int) -> bytes:
        return context(self.region, tenant, str(generation))
