"""Rotation of master, tenant and intake keys, in small steps between releases.

How far it has come is read from the rows themselves: which master wrapped a key, which generation of a tenant's key
wrapped a data key. So there is no journal to lose: a vault that was killed goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.vault.envelope import Layer, context, lock, unlock
from clawmates.vault.keys import drop_idle
from clawmates.wire.upkeep import Rotation
from clawmates.wire.vault_deeds import KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.vault.keys import KeyStore
    from clawmates.wire.vault import Binding

_KEYED: tuple[tuple[str, str, Layer], ...] = (
    ("tenant_keys", "tenant, CAST(generation AS TEXT)", Layer.TENANT_KEY),
    ("intake_keys", "id", Layer.INTAKE_KEY),
    ("signing_keys", "id", Layer.SIGNING_KEY),
    ("backup_keys", "tenant", Layer.BACKUP_KEY),
)
"""Table, the columns that its boxes are bound to (behind the region), and their layer."""


def under_way(keys: KeyStore) -> tuple[Rotation, ...]:
    """Rotations that are not finished. The exchange of the master key itself is the last of its ``left``."""
    found = []
    if left := _left_of_master(keys):
        found.append(Rotation(kind=KeyKind.MASTER, left=left))
    found += [Rotation(kind=KeyKind.TENANT, tenant=tenant, left=left) for tenant, left in _tenants(keys)]
    return tuple(found)


def rewrap(keys: KeyStore) -> bool:
    """Brings a few keys under the current master key, the canary record last; ``False`` when there were none."""
    room = keys.master.batch
    done: list[tuple[str, tuple[object, ...]]] = []
    for table, columns, layer in _KEYED:
        rows = keys.database.connection.execute(
            f"SELECT rowid, wrapped, {columns} FROM {table} WHERE master != ? LIMIT ?",  # noqa: S608 - our own names
            (keys.master.id, room - len(done)),
        ).fetchall()
        for row, wrapped, *bound in rows:
            about = context(keys.region, *bound)
            box = keys.master.wrap(layer, about, keys.master.unwrap(layer, about, wrapped))
            done.append((f"UPDATE {table} SET master = ?, wrapped = ? WHERE rowid = ?", (keys.master.id, box, row)))  # noqa: S608
    if not done:
        done = _canary(keys)
    with keys.database.transaction() as connection:
        for statement, values in done:
            connection.execute(statement, values)
    return bool(done)


def begin_tenant(keys: KeyStore, tenant: str) -> bool:
    """Makes the next generation of a tenant's key, unless one is taking over; ``False`` for an unknown tenant."""
    generations = _generations(keys, tenant)
    if len(generations) == 1:
        with keys.database.transaction():
            keys.add_tenant_key(tenant, generations[0] + 1)
    return bool(generations)


def rewrap_tenants(keys: KeyStore, binding_of: Callable[[str, str, int], Binding | None]) -> bool:
    """Brings a few data keys under their tenant's newest key, and drops the old one when none is left under it.

    ``binding_of`` tells what (bot, name, version) is bound to; a data key without a record is deleted. ``False``
    when nothing was to be done.
    """
    tenants = _tenants(keys)
    if not tenants:
        return False
    tenant = tenants[0][0]
    newest = _generations(keys, tenant)[-1]
    rows = keys.database.connection.execute(
        "SELECT rowid, bot, name, version, generation, wrapped FROM data_keys"
        " WHERE tenant = ? AND generation < ? LIMIT ?",
        (tenant, newest, keys.master.batch),
    ).fetchall()
    fresh = keys.tenant_key(tenant, newest)
    old = {generation: keys.tenant_key(tenant, generation) for generation in {row[4] for row in rows}}
    with keys.database.transaction() as connection:
        for row, bot, name, version, generation, wrapped in rows:
            binding = binding_of(bot, name, version)
            if binding is None:
                connection.execute("DELETE FROM data_keys WHERE rowid = ?", (row,))
                continue
            about = binding.encode()
            data_key = unlock(old[generation], Layer.DATA_KEY, about, wrapped)
            box = lock(fresh, Layer.DATA_KEY, about, data_key, keys.random)
            connection.execute("UPDATE data_keys SET generation = ?, wrapped = ? WHERE rowid = ?", (newest, box, row))
        drop_idle(connection)
    return True


def _canary(keys: KeyStore) -> list[tuple[str, tuple[object, ...]]]:
    (master, box) = keys.database.connection.execute("SELECT master, canary FROM vault").fetchone()
    if master == keys.master.id:
        return []
    about = context(keys.region)
    again = keys.master.wrap(Layer.CANARY, about, keys.master.unwrap(Layer.CANARY, about, box))
    return [("UPDATE vault SET master = ?, canary = ?", (keys.master.id, again))]


def _left_of_master(keys: KeyStore) -> int:
    tables = (*(table for table, _, _ in _KEYED), "vault")
    counts = " + ".join(f"(SELECT count(*) FROM {table} WHERE master != :id)" for table in tables)  # noqa: S608 - our own names
    (left,) = keys.database.connection.execute(f"SELECT {counts}", {"id": keys.master.id}).fetchone()
    return int(left) + bool(keys.master.retiring)


def _tenants(keys: KeyStore) -> list[tuple[str, int]]:
    """(tenant, data keys under old generations) of tenants that have more than one."""
    return keys.database.connection.execute(
        "SELECT t.tenant, (SELECT count(*) FROM data_keys k WHERE k.tenant = t.tenant"
        " AND k.generation < max(t.generation)) FROM tenant_keys t GROUP BY t.tenant HAVING count(*) > 1"
        " ORDER BY t.tenant"
    ).fetchall()


def _generations(keys: KeyStore, tenant: str) -> list[int]:
    rows = keys.database.connection.execute(
        "SELECT generation FROM tenant_keys WHERE tenant = ? ORDER BY generation", (tenant,)
    )
    return [generation for (generation,) in rows]
