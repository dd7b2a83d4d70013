"""The two databases as one store.

There is no transaction over both files, so order is what keeps them right: a key is written before its record and
destroyed before it. Whatever a crash leaves between the two is noise, and :meth:`Store.settle` clears it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.vault.checks import StartError, private_folder
from clawmates.vault.database import create_database, open_database
from clawmates.vault.envelope import Layer, Random, fresh_key, lock, unlock
from clawmates.vault.intake import binding_of, objection, open_sealed, sealed_bytes
from clawmates.vault.keys import KeyStore, create_keys, open_keys
from clawmates.vault.master import load_master, master_path
from clawmates.vault.records import KEPT_VERSIONS, SCHEMA, Bot, Record, RecordStore
from clawmates.wire.vault import OpenItem, VaultRefusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from clawmates.vault.keys import PublicIntakeKey
    from clawmates.vault.tickets import Grant
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault import Assignment, SealedItem


class RefusedError(Exception):
    """The vault says no; the refusal says why."""

    def __init__(self, refusal: VaultRefusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept, and the rules for keeping it. Blocking: called on one thread of its own.

    Raises :class:`RefusedError`; ``sqlite3.Error``, ``OSError`` and ``EnvelopeError`` mean that the storage failed.
    """

    keys: KeyStore
    records: RecordStore
    random: Random

    def intake_key(self) -> PublicIntakeKey:
        """The key to seal to."""
        return self.keys.intake_key()

    def assign(self, bot: str, assignment: Assignment) -> bool:
        """Makes a bot known or moves it; a bot never changes its tenant. Returns whether it left another node."""
        known = self.records.bot(bot)
        if known is not None and known.tenant != assignment.tenant:
            raise RefusedError(VaultRefusal.NOT_ALLOWED)
        self.records.assign(bot, assignment.tenant, assignment.node)
        return known is not None and known.node != assignment.node

    def freeze(self, bot: str, *, frozen: bool) -> None:
        """Stops a bot's tickets, or lets them flow again."""
        self._bot(bot)
        self.records.freeze(bot, frozen=frozen)

    def put(self, bot: str, name: ItemName, version: int, item: SealedItem, now: datetime) -> None:
        """Opens a sealed item and keeps it under a fresh data key; the same blob again changes nothing."""
        if refusal := objection(name, item):
            raise RefusedError(refusal)
        known = self._bot(bot)
        if item.tenant != known.tenant:
            raise RefusedError(VaultRefusal.CANNOT_OPEN)
        blob = sealed_bytes(item)
        if blob is None or not item.key_id.isascii():
            raise RefusedError(VaultRefusal.MALFORMED)
        binding = binding_of(known, self.records.region, name, version, item)
        received = hashlib.sha256(blob).digest()
        kept = self.records.versions(bot, name)
        if kept and version <= kept[-1]:
            same = self.records.record(known, name, version)
            if same is not None and same.received == received and same.binding == binding:
                return
            raise RefusedError(VaultRefusal.VERSION_EXISTS)
        private = self.keys.intake_private(item.key_id, now)
        if private is None:
            raise RefusedError(VaultRefusal.UNKNOWN_KEY)
        opened = open_sealed(private, binding, blob)
        if isinstance(opened, VaultRefusal):
            raise RefusedError(opened)
        data_key = fresh_key(self.random)
        box = lock(data_key, Layer.RECORD, binding.encode(), opened, self.random)
        self.keys.add(binding, data_key)
        self.records.add(Record(binding, received, box))
        self._destroy_versions(bot, ((name.value, old) for old in (*kept, version)[:-KEPT_VERSIONS]))

    def destroy(self, bot: str) -> None:
        """Keys first, then records; a bot that is not there is no error, so a half-done try can be repeated."""
        self.keys.destroy(bot)
        self.records.forget(bot)

    def check(self, grant: Grant) -> None:
        """Refuses a grant that may not be given, or may no longer be used."""
        bot = self._bot(grant.bot)
        if bot.node != grant.node:
            raise RefusedError(VaultRefusal.NOT_ASSIGNED)
        if bot.frozen:
            raise RefusedError(VaultRefusal.FROZEN)
        for name, version in grant.items:
            if version not in self.records.versions(bot.id, name):
                raise RefusedError(VaultRefusal.UNKNOWN_ITEM)

    def open(self, grant: Grant) -> tuple[OpenItem, ...]:
        """The plaintexts that a redeemed ticket names, checked once more."""
        self.check(grant)
        bot = self._bot(grant.bot)
        return tuple(self._open(bot, name, version) for name, version in grant.items)

    def settle(self) -> None:
        """Clears what a crash may have left: records without a key, versions beyond those kept, stale pages."""
        keyless: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for bot, name, version in self.records.known() - self.keys.known():
            keyless[bot].append((name, version))
        for bot, lost in keyless.items():
            self.records.forget_versions(bot, *lost)
        held: dict[tuple[str, str], list[int]] = defaultdict(list)
        for bot, name, version in self.records.known():
            held[bot, name].append(version)
        for (bot, name), versions in held.items():
            self._destroy_versions(bot, ((name, old) for old in sorted(versions)[:-KEPT_VERSIONS]))
        self.keys.database.forget()

    def close(self) -> None:
        """Closes both files."""
        self.keys.database.close()
        self.records.database.close()

    def _destroy_versions(self, bot: str, versions: Iterable[tuple[str, int]]) -> None:
        if old := tuple(versions):
            self.keys.destroy(bot, *old)
            self.records.forget_versions(bot, *old)

    def _bot(self, bot: str) -> Bot:
        known = self.records.bot(bot)
        if known is None:
            raise RefusedError(VaultRefusal.UNKNOWN_BOT)
        return known

    def _open(self, bot: Bot, name: ItemName, version: int) -> OpenItem:
        record = self.records.record(bot, name, version)
        data_key = self.keys.data_key(record.binding) if record else None
        if record is None or data_key is None:
            raise RefusedError(VaultRefusal.UNKNOWN_ITEM)
        value = unlock(data_key, Layer.RECORD, record.binding.encode(), record.box)
        return OpenItem(name=name, version=version, hosts=record.binding.hosts, value=Secret(value.reveal().decode()))


def open_store(folder: Path, *, region: str, master_key: str, random: Random, now: datetime) -> Store:
    """Opens the vault's folder, or makes it at the very first start; raises :class:`StartError`."""
    private_folder(folder)
    keys_path, records_path = folder / "keys.db", folder / "vault.db"
    try:
        if not keys_path.exists():
            _require_no_records(records_path)
            master = load_master(master_path(folder, master_key), random, create=True)
            create_database(records_path, SCHEMA)
            create_keys(keys_path, region, master, random, now)
        else:
            if not records_path.exists():
                raise StartError(f"{records_path} is missing beside keys.db: restore it from a backup")
            master = load_master(master_path(folder, master_key), random, create=False)
    except OSError as error:
        raise StartError(f"cannot set up {folder}: {error.strerror}") from None
    keys = open_keys(keys_path, region, master, random)
    try:
        records = RecordStore(open_database(records_path, SCHEMA), region)
    except StartError:
        keys.database.close()
        raise
    return Store(keys, records, random)


def _require_no_records(path: Path) -> None:
    """A ``vault.db`` without ``keys.db`` is a first start that was cut short, if it is empty; else it is a loss."""
    if not path.exists():
        return
    database = open_database(path, SCHEMA)
    try:
        holds = database.connection.execute("SELECT EXISTS (SELECT 1 FROM bots)").fetchone()[0]
    finally:
        database.close()
    if holds:
        raise StartError(f"{path.with_name('keys.db')} is missing beside vault.db: restore it from its separate copy")
