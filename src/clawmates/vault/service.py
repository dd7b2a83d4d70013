"""The vault at work: tickets on the event loop, storage on a thread of its own, one task after the other."""

from __future__ import annotations

import asyncio
import sqlite3
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from clawmates.vault.checks import StartError
from clawmates.vault.envelope import EnvelopeError
from clawmates.vault.store import RefusedError
from clawmates.vault.tickets import Grant, TicketBook
from clawmates.wire.vault import TICKET_SECONDS, IntakeKey, Release, Ticket, VaultRefusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from clawmates.base.clock import Clock
    from clawmates.vault.envelope import Random
    from clawmates.vault.store import Store
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault import Assignment, Redemption, SealedItem, TicketRequest

    P = ParamSpec("P")
    T = TypeVar("T")


class Happening(StrEnum):
    """What the vault writes into its event log."""

    STARTED = "vault-started"
    ASSIGNED = "bot-assigned"
    KEPT = "item-kept"
    DESTROYED = "bot-destroyed"
    TICKET_REUSED = "ticket-reused"
    UNFROZEN = "bot-unfrozen"
    STORAGE_FAILED = "storage-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultEvent:
    """One line of the event log: enums only."""

    code: Happening


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
        self._alarmed: set[str] = set()
        """Bots whose alarm was raised here: frozen even where the disk refused to remember it, and told only once."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vault-store")

    async def settle(self) -> None:
        """Clears what a crash may have left, before anyone is served; raises :class:`StartError` if it cannot."""
        try:
            await self._stored(self._store.settle)
        except RefusedError:
            raise StartError("the vault's databases cannot be written: see that the disk has room") from None

    async def intake_key(self) -> IntakeKey:
        """The public key that items are sealed to."""
        key = await self._stored(self._store.intake_key)
        return IntakeKey(key_id=key.id, region=self.region, public=b64encode(key.public).decode())

    async def assign(self, bot: str, assignment: Assignment) -> None:
        """Says whose bot it is and which node may run it; a move voids the old node's tickets."""
        if await self._stored(self._store.assign, bot, assignment):
            self._tickets.void(bot, VaultRefusal.NOT_ASSIGNED)
        self._say(Happening.ASSIGNED, bot)

    async def put(self, bot: str, name: ItemName, version: int, item: SealedItem) -> None:
        """Keeps one sealed item."""
        await self._stored(self._store.put, bot, name, version, item, self._clock.now())
        self._say(Happening.KEPT, bot)

    async def destroy(self, bot: str) -> None:
        """Destroys the bot's keys, then its records."""
        self._tickets.forget(bot)
        await self._stored(self._store.destroy, bot)
        self._alarmed.discard(bot)
        self._tickets.forget(bot)
        self._say(Happening.DESTROYED, bot)

    async def unfreeze(self, bot: str) -> None:
        """Somebody looked: tickets are given again, and those of before are forgotten, so none alarms once more."""
        await self._stored(self._store.freeze, bot, frozen=False)
        self._alarmed.discard(bot)
        self._tickets.forget(bot)
        self._say(Happening.UNFROZEN, bot)

    async def ticket(self, node: str, request: TicketRequest) -> Ticket:
        """A single-use right for a bot that is assigned to ``node``."""
        grant = Grant(request.bot, node, request.generation, tuple(sorted(request.items.items())))
        await self._stored(self._store.check, grant)
        if request.bot in self._alarmed:
            raise RefusedError(VaultRefusal.FROZEN)
        ticket = self._tickets.issue(grant, self._clock.monotonic())
        return Ticket(ticket=ticket, expires_in=TICKET_SECONDS)

    async def redeem(self, redemption: Redemption) -> Release:
        """Opens what a ticket names. A second use freezes the bot: one of the two who had the ticket stole it."""
        found = self._tickets.redeem(redemption.bot, redemption.ticket, self._clock.monotonic())
        if isinstance(found, Grant):
            # Checked again inside: the bot may have been moved, frozen or destroyed since the ticket was given.
            return Release(items=await self._stored(self._store.open, found))
        if found is VaultRefusal.TICKET_REUSED:
            await self._alarm(redemption.bot)
        raise RefusedError(found)

    def close(self) -> None:
        """Waits for the work in hand and closes the store."""
        self._thread.shutdown(wait=True)
        self._store.close()

    async def _alarm(self, bot: str) -> None:
        if bot in self._alarmed:
            return
        self._alarmed.add(bot)
        self._tickets.void(bot, VaultRefusal.FROZEN)
        self._say(Happening.TICKET_REUSED, bot)
        await self._stored(self._store.freeze, bot, frozen=True)

    async def _stored(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs ``work`` on the store's thread, to its end even when the caller has gone away."""
        task = asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except (sqlite3.Error, OSError, EnvelopeError):
            # A full disk, a damaged file, or a record that does not open under its own key.
            self._say(Happening.STORAGE_FAILED, "")
            raise RefusedError(VaultRefusal.STORAGE_FAILED) from None

    def _say(self, code: Happening, bot: str) -> None:
        self._events.write(VaultEvent(code=code), bot=bot)
