"""The two databases as one store.

There is no transaction over both files, so order is what keeps them right: a key is written before its record and
destroyed before it. Whatever a crash leaves between the two is noise, and :meth:`Store.settle` clears it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from clawmates.base.secret import Secret
from clawmates.vault import backupkeys, rotation
from clawmates.vault import destruction as destructions
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.checks import StartError, private_folder
from clawmates.vault.database import create_database, open_database
from clawmates.vault.debts import Debts
from clawmates.vault.envelope import Layer, Random, fresh_key, kin_of, lock, unlock
from clawmates.vault.intake import SENT_TO_HOSTS, binding_of, objection, open_sealed, sealed_bytes
from clawmates.vault.keycopy import CopyError, KeyCopy
from clawmates.vault.keys import KeyStore, create_keys, open_keys
from clawmates.vault.leases import Term, runs
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.masters import Masters, NoNewMasterError
from clawmates.vault.records import KEPT_VERSIONS, SCHEMA, Bot, Record, RecordStore
from clawmates.vault.tickets import Grant
from clawmates.wire.backups import BackupKeys
from clawmates.wire.leases import Lease
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import DestroyedItem, KeysCopy, SignedReceipt, Subject
from clawmates.wire.vault import MAX_ITEM_BYTES, Binding, OpenItem, VaultRefusal
from clawmates.wire.vault_deeds import KeyKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from clawmates.vault.keys import PublicIntakeKey
    from clawmates.vault.sessions import Holder
    from clawmates.wire.backups import BackupKeysRequest
    from clawmates.wire.upkeep import RotationRequest
    from clawmates.wire.vault import Assignment, SealedItem


class RefusedError(Exception):
    """The vault says no; the refusal says why."""

    def __init__(self, refusal: VaultRefusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was opened for its owner."""

    tenant: str
    version: int
    text: Secret[bytes]


BORN_INSIDE_KEY = "born-inside"
"""Stands where a sealed item names its intake key."""


@dataclass(frozen=True, slots=True)
class Store:
    """Everything that is kept, and the rules for keeping it. Blocking: called on one thread of its own.

    Raises :class:`RefusedError`; ``sqlite3.Error``, ``OSError`` and ``EnvelopeError`` mean that the storage failed,
    ``CopyError`` that the separate copy of the keys did, ``MasterUnavailableError`` that the master key is absent.
    """

    keys: KeyStore
    records: RecordStore
    random: Random
    masters: Masters
    copy: KeyCopy
    catalogue: Catalogue
    debts: Debts

    def intake_key(self) -> PublicIntakeKey:
        """The key to seal to."""
        return self.keys.intake_key()

    def assign(self, bot: str, assignment: Assignment, now: datetime) -> bool:
        """Makes a bot known or moves it; a bot never changes its tenant. Returns whether it left another node."""
        known = self.records.bot(bot)
        if known is not None and known.tenant != assignment.tenant:
            raise RefusedError(VaultRefusal.NOT_ALLOWED)
        if destructions.is_condemned(self.keys, bot):
            raise RefusedError(VaultRefusal.BEING_DESTROYED)
        self.records.assign(bot, assignment.tenant, assignment.node, Term.begin(assignment.lease_seconds, now))
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
        if version <= max((*kept, self.records.spent(bot, name))):
            same = self.records.record(known, name, version)
            if same is not None and same.received == received and same.binding == binding:
                return
            raise RefusedError(VaultRefusal.VERSION_EXISTS)
        if name in SENT_TO_HOSTS and (unlisted := self.catalogue.objection(name, item.hosts)):
            raise RefusedError(unlisted)
        private = self.keys.intake_private(item.key_id, now)
        if private is None:
            raise RefusedError(VaultRefusal.UNKNOWN_KEY)
        opened = open_sealed(private, binding, blob)
        if isinstance(opened, VaultRefusal):
            raise RefusedError(opened)
        self._keep(binding, opened, received, kept)

    def destroy_item(self, bot: str, name: ItemName, version: int) -> bool:
        """Destroys the versions of an item up to that one, keys first; whether there were any.

        Not of what a mate keeps itself: of that its owner knows no version to name.
        """
        if name.is_born_inside:
            raise RefusedError(VaultRefusal.NOT_ALLOWED)
        self._bot(bot)
        found = self.keys.items_of(bot) | self.records.items_of(bot)
        old = sorted((one, at) for one, at in found if one == name.value and at <= version)
        if old:
            self.records.spend(bot, name, old[-1][1])
            self._destroy_versions(bot, old)
            self.debts.copy = True
        return bool(old)

    def destroy(self, bot: str, now: datetime) -> SignedReceipt:
        """Keys first, then records, then the copy of the keys. May be repeated, also for the receipt alone."""
        known = self.records.bot(bot)
        tenant = known.tenant if known is not None else ""
        return self._destroy(destructions.Target(subject=Subject.BOT, name=bot, tenant=tenant, bots=(bot,)), now)

    def destroy_tenant(self, tenant: str, now: datetime) -> SignedReceipt:
        """The tenant's keys, and with them all its bots; otherwise as :meth:`destroy`."""
        bots = tuple(sorted(self.records.bots_of(tenant) | self.keys.bots_of(tenant)))
        return self._destroy(destructions.Target(subject=Subject.TENANT, name=tenant, tenant=tenant, bots=bots), now)

    def backup_keys(self, request: BackupKeysRequest) -> BackupKeys:
        """What control's rows of these tenants are sealed to in a backup; made where there is none, if that is asked.

        A key is given out only once it is in the separate copy: what is sealed to it could not be opened without.
        """
        if request.make and backupkeys.make(self.keys, request.tenants):
            self.debts.copy = True
        self.debts.settle()
        return BackupKeys(keys=backupkeys.publics(self.keys, request.tenants))

    def begin_rotation(self, request: RotationRequest, now: datetime) -> None:
        """Makes the new key; from then on it is used, and :func:`clawmates.vault.chores.step` brings the rest under it.

        While one of the same kind is under way, nothing happens (a further intake key can always be made).
        """
        match request.kind:
            case KeyKind.MASTER:
                try:
                    self.masters.begin(self.keys.master)
                except (NoNewMasterError, StartError):
                    raise RefusedError(VaultRefusal.NO_NEW_MASTER) from None
            case KeyKind.TENANT:
                if not rotation.begin_tenant(self.keys, request.tenant):
                    raise RefusedError(VaultRefusal.UNKNOWN_TENANT)
            case KeyKind.INTAKE:
                self.keys.rotate_intake(now)
            case _:
                assert_never(request.kind)
        self.debts.copy = True

    def check(self, grant: Grant, now: datetime) -> int | None:
        """Refuses a grant that may not be given, or may no longer be used; seconds of its lease, ``None`` for ever."""
        bot = self._bot(grant.bot)
        if bot.node != grant.node:
            raise RefusedError(VaultRefusal.NOT_ASSIGNED)
        term = self.records.term(bot.id)
        if not runs(term, now):
            raise RefusedError(VaultRefusal.LEASE_ENDED)
        if bot.frozen:
            raise RefusedError(VaultRefusal.FROZEN)
        for name, version in grant.items:
            self._granted(bot, name, version)
        return None if term is None else int((term.until - now).total_seconds())

    def open(self, grant: Grant, now: datetime) -> tuple[OpenItem, ...]:
        """The plaintexts that a redeemed ticket names, checked once more."""
        self.check(grant, now)
        bot = self._bot(grant.bot)
        return tuple(self._open(bot, name, self._granted(bot, name, version)) for name, version in grant.items)

    def kin(self, grant: Grant) -> Secret[str] | None:
        """What the bot's containers know each other by; ``None`` without a channel token. For a grant just opened."""
        version = dict(grant.items).get(ItemName.CHANNEL_TOKEN)
        record = self.records.record(self._bot(grant.bot), ItemName.CHANNEL_TOKEN, version) if version else None
        data_key = self.keys.data_key(record.binding) if record is not None else None
        return kin_of(data_key, record.binding.encode()) if record is not None and data_key is not None else None

    def renew(self, node: str, bots: Iterable[str], now: datetime) -> tuple[Lease, ...]:
        """Renews the running leases of a node's bots; any other bot is left out of the answer."""
        renewed = []
        for bot in dict.fromkeys(bots):
            known, term = self.records.bot(bot), self.records.term(bot)
            if known is None or known.node != node or not runs(term, now):
                continue
            if term is not None:
                self.records.renew(bot, term.renewed(now))
            renewed.append(Lease(bot=bot, seconds=term.seconds if term else None, frozen=known.frozen))
        return tuple(renewed)

    def read_back(self, bot: str, name: ItemName) -> Document:
        """The newest version of a document, for its owner; credentials never leave this way."""
        if not name.is_document:
            raise RefusedError(VaultRefusal.NOT_ALLOWED)
        known = self._bot(bot)
        versions = self.records.versions(bot, name)
        if not versions:
            raise RefusedError(VaultRefusal.UNKNOWN_ITEM)
        item = self._open(known, name, versions[-1])
        return Document(known.tenant, item.version, Secret(item.value.reveal().encode()))

    def keep_born(self, holder: Holder, name: ItemName, version: int, text: str, now: datetime) -> bool:
        """Keeps what a mate bore: at exactly the next version. The newest one again, word for word, changes nothing.

        Returns whether anything was kept.
        """
        self.check(Grant(holder.bot, holder.node, 0, ()), now)
        known = self._bot(holder.bot)
        raw = text.encode()
        if len(raw) > MAX_ITEM_BYTES:
            raise RefusedError(VaultRefusal.TOO_LARGE)
        kept = self.records.versions(known.id, name)
        newest = kept[-1] if kept else 0
        if kept and version == newest and self._open(known, name, version).value.reveal() == text:
            return False
        if version != newest + 1:
            raise RefusedError(VaultRefusal.VERSION_EXISTS)
        binding = Binding(
            key_id=BORN_INSIDE_KEY,
            region=self.records.region,
            tenant=known.tenant,
            bot=known.id,
            name=name,
            version=version,
            hosts=(),
        )
        # No hash of what came is kept, as it is of sealed blobs: a short list of people could be guessed from it.
        self._keep(binding, Secret(raw), self.random(32), kept)
        return True

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
        self.debts.clearing = self.debts.copy = True
        # The copy's disk may be away: the vault serves without it, says so, and tries again.
        with suppress(CopyError):
            self.copy.clear()
            self.debts.settle()

    def close(self) -> None:
        """Closes both files."""
        self.keys.database.close()
        self.records.database.close()

    def _keep(self, binding: Binding, opened: Secret[bytes], received: bytes, kept: tuple[int, ...]) -> None:
        data_key = fresh_key(self.random)
        box = lock(data_key, Layer.RECORD, binding.encode(), opened, self.random)
        self.keys.add(binding, data_key)
        self.debts.copy = True
        self.records.add(Record(binding, received, box))
        past = (*kept, binding.version)[:-KEPT_VERSIONS]
        self._destroy_versions(binding.bot, ((binding.name.value, old) for old in past))

    def _destroy_versions(self, bot: str, versions: Iterable[tuple[str, int]]) -> None:
        if old := tuple(versions):
            self.keys.destroy(bot, *old)
            self.debts.clearing = True
            self.records.forget_versions(bot, *old)

    def _bot(self, bot: str) -> Bot:
        known = self.records.bot(bot)
        if known is None or destructions.is_condemned(self.keys, bot):
            raise RefusedError(VaultRefusal.UNKNOWN_BOT)
        return known

    def _destroy(self, target: destructions.Target, now: datetime) -> SignedReceipt:
        for one in destructions.pending(self.keys):
            if (one.subject, one.name) == (target.subject, target.name):
                return self.debts.finish(one, now)
        items = tuple(
            DestroyedItem(bot=bot, name=ItemName(name), version=version)
            for bot in target.bots
            for name, version in sorted(self.keys.items_of(bot) | self.records.items_of(bot))
        )
        sealing = target.subject is Subject.TENANT and backupkeys.holds(self.keys, target.name)
        if not items and not sealing and not any(self.records.bot(bot) for bot in target.bots):
            return self._nothing_here(target, now)
        return self.debts.finish(destructions.condemn(self.keys, target, items, now), now)

    def _nothing_here(self, target: destructions.Target, now: datetime) -> SignedReceipt:
        """The receipt of before, or one that says that there is nothing."""
        if (kept := destructions.kept_receipt(self.keys, target.subject, target.name)) is not None:
            return kept
        nothing = destructions.nothing(self.keys, target, now)
        return destructions.receipt_for(self.keys, nothing, KeysCopy.NONE, now)

    def _granted(self, bot: Bot, name: ItemName, version: int) -> int:
        """The version that a grant of this one opens: itself, or the newest of what a mate keeps beside its owner."""
        kept = self.records.versions(bot.id, name)
        if name.is_born_inside and kept and kept[-1] >= version:
            return kept[-1]
        if version not in kept:
            raise RefusedError(VaultRefusal.UNKNOWN_ITEM)
        return version

    def _open(self, bot: Bot, name: ItemName, version: int) -> OpenItem:
        record = self.records.record(bot, name, version)
        data_key = self.keys.data_key(record.binding) if record else None
        if record is None or data_key is None:
            raise RefusedError(VaultRefusal.UNKNOWN_ITEM)
        value = unlock(data_key, Layer.RECORD, record.binding.encode(), record.box)
        return OpenItem(name=name, version=version, hosts=record.binding.hosts, value=Secret(value.reveal().decode()))


def open_store(masters: Masters, *, region: str, catalogue: Catalogue, now: datetime, keys_copy: str = "") -> Store:
    """Opens the vault's folder, or makes it at the very first start.

    Raises :class:`StartError`, and :class:`~clawmates.vault.master.MasterUnavailableError` when the token or service
    does not answer.
    """
    folder, random = masters.folder, masters.random
    private_folder(folder)
    keys_path, records_path = folder / "keys.db", folder / "vault.db"
    copy = KeyCopy.at(keys_copy)
    try:
        if not keys_path.exists():
            _require_no_records(records_path)
            made = masters.open(create=True)
            create_database(records_path, SCHEMA)
            create_keys(keys_path, region, made, random, now)
        elif not records_path.exists():
            raise StartError(f"{records_path} is missing beside keys.db: restore it from a backup")
    except OSError as error:
        raise StartError(f"cannot set up {folder}: {error.strerror}") from None
    keys = open_keys(keys_path, region, masters, random)
    try:
        keys.ensure_signing(now)
        records = RecordStore(open_database(records_path, SCHEMA), region)
    except sqlite3.Error:
        keys.database.close()
        raise StartError(f"{keys_path} cannot be written: see that the disk has room") from None
    except (StartError, MasterUnavailableError):
        keys.database.close()
        raise
    return Store(keys, records, random, masters, copy, catalogue, Debts(keys, records, copy))


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
