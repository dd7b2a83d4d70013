"""A key pair for each tenant, to which control seals that tenant's rows in every backup (ADR 25).

Control is given the public half and can open nothing. The private half is wrapped by the master key in ``keys.db``:
it is in no backup, its one separate copy follows each destruction, and it goes with the tenant. From then on what any
backup holds of them is noise. It is not the tenant's own key, which ends with the last bot and is rotated.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawmates.base.secret import Secret
from clawmates.vault.envelope import Layer, context
from clawmates.wire.backups import BackupKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.vault.keys import KeyStore


def make(keys: KeyStore, tenants: Iterable[str]) -> int:
    """Makes those that are missing, in one transaction; says how many. Raises as :class:`KeyStore` does."""
    fresh = []
    for tenant in dict.fromkeys(tenants):
        if holds(keys, tenant):
            continue
        pair = X25519PrivateKey.from_private_bytes(keys.random(32))
        wrapped = keys.master.wrap(Layer.BACKUP_KEY, _about(keys, tenant), Secret(pair.private_bytes_raw()))
        fresh.append((tenant, pair.public_key().public_bytes_raw(), keys.master.id, wrapped))
    if fresh:
        with keys.database.transaction() as connection:
            connection.executemany("INSERT INTO backup_keys VALUES (?, ?, ?, ?)", fresh)
    return len(fresh)


def holds(keys: KeyStore, tenant: str) -> bool:
    """Whether there is one of this tenant."""
    found = keys.database.connection.execute("SELECT 1 FROM backup_keys WHERE tenant = ?", (tenant,))
    return found.fetchone() is not None


def publics(keys: KeyStore, tenants: Iterable[str]) -> tuple[BackupKey, ...]:
    """Of those that have one."""
    found = []
    for tenant in dict.fromkeys(tenants):
        row = keys.database.connection.execute("SELECT public FROM backup_keys WHERE tenant = ?", (tenant,)).fetchone()
        if row is not None:
            found.append(BackupKey(tenant=tenant, public=b64encode(row[0]).decode()))
    return tuple(found)


def private(keys: KeyStore, tenant: str) -> Secret[bytes] | None:
    """What opens a tenant's rows, for a restore; ``None`` for one that was destroyed."""
    row = keys.database.connection.execute("SELECT wrapped FROM backup_keys WHERE tenant = ?", (tenant,)).fetchone()
    return None if row is None else keys.master.unwrap(Layer.BACKUP_KEY, _about(keys, tenant), row[0])


def _about(keys: KeyStore, tenant: str) -> bytes:
    return context(keys.region, tenant)
