"""The vault at work: tickets on the event loop, storage on a thread of its own, one task after the other."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, assert_never

from clawmates.vault.auditor import Auditor
from clawmates.vault.checks import StartError
from clawmates.vault.chores import Done, Step
from clawmates.vault.closing import write_down
from clawmates.vault.confine import Confinement
from clawmates.vault.envelope import EnvelopeError
from clawmates.vault.keycopy import CopyError
from clawmates.vault.ledger import Ledger
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.sessions import SessionBook
from clawmates.vault.store import RefusedError
from clawmates.vault.tickets import Grant, TicketBook
from clawmates.vault.upkeep import Upkeep
from clawmates.wire.documents import SealedDocument, reading_info
from clawmates.wire.leases import Leases
from clawmates.wire.reading import seal_for_reader
from clawmates.wire.receipt import SignedReceipt, Subject
from clawmates.wire.upkeep import Trouble
from clawmates.wire.vault import MAX_IMAGE_BYTES, TICKET_SECONDS, IntakeKey, Release, Ticket, VaultRefusal
from clawmates.wire.vault_deeds import (
    Assigned,
    Copied,
    DocumentRead,
    ItemDestroyed,
    Kept,
    OfBot,
    Origin,
    Released,
    Rotated,
    Started,
    Tag,
)
from clawmates.wire.vault_status import VaultStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from clawmates.base.clock import Clock
    from clawmates.vault.envelope import Random
    from clawmates.vault.store import Store
    from clawmates.wire.backups import BackupKeys, BackupKeysRequest
    from clawmates.wire.documents import ReadBack
    from clawmates.wire.leases import LeaseRenewal
    from clawmates.wire.names import ItemName
    from clawmates.wire.upkeep import KeysStatus, RotationRequest
    from clawmates.wire.vault import Assignment, Redemption, SealedItem, SessionItem, TicketRequest

    P = ParamSpec("P")
    T = TypeVar("T")


class Happening(StrEnum):
    """What the vault writes into its event log."""

    STARTED = "vault-started"
    ASSIGNED = "bot-assigned"
    KEPT = "item-kept"
    ITEM_DESTROYED = "item-destroyed"
    DESTROYED = "bot-destroyed"
    TICKET_REUSED = "ticket-reused"
    UNFROZEN = "bot-unfrozen"
    STORAGE_FAILED = "storage-failed"
    TENANT_DESTROYED = "tenant-destroyed"
    ROTATION_BEGUN = "rotation-begun"
    MASTER_EXCHANGED = "master-exchanged"
    KEYS_EXPIRED = "keys-expired"
    MASTER_UNAVAILABLE = "master-unavailable"
    KEYS_COPY_FAILED = "keys-copy-failed"
    READ = "document-read"
    DIVERGED = "audit-diverged"
    COPIED = "vault-copied"
    CONFINED = "confined"
    UNCONFINED = "unconfined"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultEvent:
    """One line of the event log: enums only."""

    code: Happening


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What the process could do to protect itself."""

    confinement: Confinement = Confinement.UNAVAILABLE
    memory_locked: bool = False


class EventSink(Protocol):
    """Where events go: :class:`~clawmates.base.eventlog.EventLog`, or a test's list."""

    def write(self, event: object, *, bot: str = "") -> None:
        """Keeps one event."""
        ...


class Vault:
    """What callers may ask for, once they were let in. Every method may raise :class:`RefusedError`."""

    def __init__(self, store: Store, *, region: str, clock: Clock, random: Random, events: EventSink) -> None:
        self.region = region
        self._store = store
        self._clock = clock
        self._events = events
        self._tickets = TicketBook(random)
        self._sessions = SessionBook(random)
        self.audit = Auditor(Ledger(store.records.database), self._stored, clock)
        self.upkeep = Upkeep(store, self._stored, clock, self._told)
        self._condition = Condition()
        self._alarmed: set[str] = set()
        """Bots whose alarm was raised here: frozen even where the disk refused to remember it, and told only once."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vault-store")

    async def started(self, condition: Condition) -> None:
        """Notes the beginning, and what the process could do to protect itself."""
        self._condition = condition
        await self.audit.record(Tag.SERVICE_STARTED, Started(region=self.region))
        self._say(Happening.STARTED, "")
        confined = condition.confinement in {Confinement.FULL, Confinement.FILES}
        self._say(Happening.CONFINED if confined else Happening.UNCONFINED, "")

    async def status(self) -> VaultStatus:
        """What an operator should know."""

        def look() -> VaultStatus:
            return VaultStatus(
                region=self.region,
                frozen=tuple(sorted({*self._store.records.frozen(), *self._alarmed})),
                confinement=self._condition.confinement.value,
                memory_locked=self._condition.memory_locked,
                entries=self.audit.ledger.head().number,
                witnessed=self.audit.ledger.witnessed(),
            )

        return await self._stored(look)

    async def settle(self) -> None:
        """Clears what a crash may have left, before anyone is served; raises :class:`StartError` if it cannot."""
        try:
            await self._stored(self._store.settle)
        except RefusedError:
            raise StartError("the vault's databases cannot be written: see that the disk has room") from None
        await self.upkeep.finish()

    async def intake_key(self) -> IntakeKey:
        """The public key that items are sealed to."""
        key = await self._stored(self._store.intake_key)
        return IntakeKey(key_id=key.id, region=self.region, public=b64encode(key.public).decode())

    async def assign(self, bot: str, assignment: Assignment) -> None:
        """Says whose bot it is and which node may run it; a move voids the old node's tickets."""
        if await self._stored(self._store.assign, bot, assignment, self._clock.now()):
            self._tickets.void(bot, VaultRefusal.NOT_ASSIGNED)
            self._sessions.end(bot)
        detail = Assigned(
            bot=bot, tenant=assignment.tenant, node=assignment.node, lease_seconds=assignment.lease_seconds or 0
        )
        await self.audit.record(Tag.BOT_ASSIGNED, detail)
        self._say(Happening.ASSIGNED, bot)

    async def put(self, bot: str, name: ItemName, version: int, item: SealedItem) -> None:
        """Keeps one sealed item."""
        await self._stored(self._store.put, bot, name, version, item, self._clock.now())
        await self.audit.record(Tag.ITEM_KEPT, Kept(bot=bot, item=name, version=version, origin=Origin.CONTROL))
        self.upkeep.later()
        self._say(Happening.KEPT, bot)

    async def destroy_item(self, bot: str, name: ItemName, version: int) -> None:
        """Destroys the versions of an item up to that one; said again it finds nothing, and nothing is noted."""
        if await self._stored(self._store.destroy_item, bot, name, version):
            await self.audit.record(Tag.ITEM_DESTROYED, ItemDestroyed(bot=bot, item=name, version=version))
            self.upkeep.later()
            self._say(Happening.ITEM_DESTROYED, bot)

    async def destroy(self, bot: str) -> SignedReceipt:
        """Destroys the bot's keys, then its records, then the copy of the keys."""
        self._forget(bot)
        receipt = await self._stored(self._store.destroy, bot, self._clock.now())
        await self._destroyed(receipt)
        return receipt

    async def destroy_tenant(self, tenant: str) -> SignedReceipt:
        """Destroys a tenant's keys, and with them all its bots."""
        receipt = await self._stored(self._store.destroy_tenant, tenant, self._clock.now())
        await self._destroyed(receipt)
        return receipt

    async def rotate(self, request: RotationRequest) -> KeysStatus:
        """Begins a rotation; it goes on by itself."""
        status = await self.upkeep.rotate(request)
        await self.audit.record(Tag.KEY_ROTATED, Rotated(kind=request.kind))
        self._say(Happening.ROTATION_BEGUN, "")
        return status

    async def image(self) -> bytes:
        """``vault.db`` for a backup, whose keys are in the separate copy by then; ``keys.db`` never leaves."""

        def copy() -> bytes:
            self._store.debts.settle()
            found = self._store.records.database.image()
            if len(found) > MAX_IMAGE_BYTES:
                raise RefusedError(VaultRefusal.TOO_LARGE)
            return found

        found = await self._stored(copy)
        await self.audit.record(Tag.BACKUP_MADE, Copied(sha256=hashlib.sha256(found).hexdigest()))
        self._say(Happening.COPIED, "")
        return found

    async def backup_keys(self, request: BackupKeysRequest) -> BackupKeys:
        """The public keys that control seals rows to; none that opens anything."""
        return await self._stored(self._store.backup_keys, request)

    async def unfreeze(self, bot: str) -> None:
        """Somebody looked: tickets are given again, and those of before are forgotten, so none alarms once more."""
        await self._stored(self._store.freeze, bot, frozen=False)
        self._alarmed.discard(bot)
        self._tickets.forget(bot)
        await self.audit.record(Tag.BOT_UNFROZEN, OfBot(bot=bot))
        self._say(Happening.UNFROZEN, bot)

    async def ticket(self, node: str, request: TicketRequest) -> Ticket:
        """A single-use right for a bot that is assigned to ``node``."""
        grant = Grant(request.bot, node, request.generation, tuple(sorted(request.items.items())))
        left = await self._stored(self._store.check, grant, self._clock.now())
        if request.bot in self._alarmed:
            raise RefusedError(VaultRefusal.FROZEN)
        self._sessions.supersede(request.bot, request.generation)
        ticket = self._tickets.issue(grant, self._clock.monotonic())
        return Ticket(ticket=ticket, expires_in=TICKET_SECONDS, lease=left)

    async def redeem(self, redemption: Redemption) -> Release:
        """Opens what a ticket names. A second use freezes the bot: one of the two who had the ticket stole it."""
        found = self._tickets.redeem(redemption.bot, redemption.ticket, self._clock.monotonic())
        if isinstance(found, Grant):
            # Checked again inside: the bot may have been moved, frozen or destroyed since the ticket was given.
            # Begun before anything is waited for: what ends a session from now on ends this one too.
            session = self._sessions.open(found) if redemption.session else None
            items = await self._stored(self._store.open, found, self._clock.now())
            kin = await self._stored(self._store.kin, found) if redemption.kin else None
            released = Released(bot=found.bot, node=found.node, generation=found.generation)
            await self.audit.record(Tag.BOT_RELEASED, released)
            return Release(items=items, session=session, kin=kin)
        if found is VaultRefusal.TICKET_REUSED:
            await self._alarm(redemption.bot)
        raise RefusedError(found)

    async def put_in_session(self, name: ItemName, item: SessionItem) -> None:
        """Keeps what a mate bore inside its container."""
        found = self._sessions.use(item.bot, item.session, name, self._clock.monotonic())
        if isinstance(found, VaultRefusal):
            raise RefusedError(found)
        text, now = item.value.reveal(), self._clock.now()
        if await self._stored(self._store.keep_born, found, name, item.version, text, now):
            kept = Kept(bot=item.bot, item=name, version=item.version, origin=Origin.MATE)
            await self.audit.record(Tag.ITEM_KEPT, kept)
            self.upkeep.later()
            self._say(Happening.KEPT, item.bot)

    async def renew(self, node: str, renewal: LeaseRenewal) -> Leases:
        """Renews the leases of the calling node's bots."""
        leases = await self._stored(self._store.renew, node, renewal.bots, self._clock.now())
        return Leases(leases=tuple(replace(one, frozen=one.frozen or one.bot in self._alarmed) for one in leases))

    async def read_back(self, bot: str, name: ItemName, request: ReadBack) -> SealedDocument:
        """The newest version of a document, sealed to a key of its owner's."""
        document = await self._stored(self._store.read_back, bot, name)
        info = reading_info(region=self.region, tenant=document.tenant, bot=bot, name=name, version=document.version)
        sealed = seal_for_reader(request.public, info, document.text)
        await self.audit.record(Tag.DOCUMENT_READ, DocumentRead(bot=bot, item=name, version=document.version))
        self._say(Happening.READ, bot)
        return SealedDocument(version=document.version, sealed=sealed)

    def _forget(self, bot: str) -> None:
        """Nothing that the vault has in RAM of a bot is good any more."""
        self._alarmed.discard(bot)
        self._tickets.forget(bot)
        self._sessions.end(bot)

    async def _destroyed(self, receipt: SignedReceipt) -> None:
        """Notes a destruction that is finished; one that was noted before says nothing again."""
        what = receipt.receipt
        for bot in what.bots:
            self._forget(bot)
        now = self._clock.now()
        try:
            if not await self._stored(lambda: write_down(self._store.keys, self.audit.ledger, what, now)):
                return
        except RefusedError:
            self.upkeep.later()
            raise
        for bot in what.bots:
            self._say(Happening.DESTROYED, bot)
        if what.subject is Subject.TENANT:
            self._say(Happening.TENANT_DESTROYED, "")

    async def _told(self, what: Done | Trouble) -> None:
        """What the upkeep did by itself, or what stands in its way."""
        match what:
            case Done(receipt=SignedReceipt() as receipt):
                await self._destroyed(receipt)
            case Done(step=Step.MASTER_EXCHANGED):
                self._say(Happening.MASTER_EXCHANGED, "")
            case Done(step=Step.EXPIRED):
                self._say(Happening.KEYS_EXPIRED, "")
            case Trouble.STORAGE_FAILED | Done():
                pass  # the former was said where it failed
            case Trouble.MASTER_UNAVAILABLE:
                self._say(Happening.MASTER_UNAVAILABLE, "")
            case Trouble.KEYS_COPY_FAILED:
                self._say(Happening.KEYS_COPY_FAILED, "")
            case _:
                assert_never(what)

    def close(self) -> None:
        """Waits for the work in hand and closes the store."""
        self._thread.shutdown(wait=True)
        self._store.close()

    async def _alarm(self, bot: str) -> None:
        if bot in self._alarmed:
            return
        self._alarmed.add(bot)
        self._tickets.void(bot, VaultRefusal.FROZEN)
        self._sessions.end(bot)
        self._say(Happening.TICKET_REUSED, bot)
        await self._stored(self._store.freeze, bot, frozen=True)
        await self.audit.record(Tag.BOT_FROZEN, OfBot(bot=bot))

    async def _stored(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``work`` on the store's thread, to its end even when the caller has gone away."""
        task = asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except (sqlite3.Error, OSError, EnvelopeError):
            # A full disk, a damaged file, or a record that does not open under its own key.
            self._say(Happening.STORAGE_FAILED, "")
            raise RefusedError(VaultRefusal.STORAGE_FAILED) from None
        except CopyError:
            self.upkeep.later()
            raise RefusedError(VaultRefusal.KEYS_COPY_FAILED) from None
        except MasterUnavailableError:
            raise RefusedError(VaultRefusal.MASTER_UNAVAILABLE) from None

    def _say(self, code: Happening, bot: str) -> None:
        self._events.write(VaultEvent(code=code), bot=bot)
