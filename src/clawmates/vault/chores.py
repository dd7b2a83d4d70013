"""What the vault does beside answering: finishing destructions, rotating keys, clearing bytes, letting keys expire.

Each step is short, on the store's own thread, so that releases go on between two of them. Deletions that an owner
asked for are cleared to the last byte before they are answered; superseded versions and a changed copy of the keys are
collected for :data:`COLLECT_SECONDS`, because lists of people change often and clearing rewrites the whole file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.vault import destruction as destructions
from clawmates.vault import rotation
from clawmates.wire.receipt import KeysCopy, SignedReceipt

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.vault.destruction import Destruction
    from clawmates.vault.store import Store
    from clawmates.wire.vault import Binding

COLLECT_SECONDS = 2.0
RECEIPTS_KEPT = timedelta(days=30)


@dataclass(slots=True)
class Owed:
    """What ``keys.db`` still owes: bytes of deleted keys to clear, a copy that is behind. In RAM; a start pays both."""

    clearing: bool = False
    copy: bool = False


class Step(StrEnum):
    """What one step did."""

    DESTROYED = "destroyed"
    ROTATED = "rotated"
    MASTER_EXCHANGED = "master-exchanged"
    CLEARED = "cleared"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Done:
    """One step; ``receipt`` where a destruction was finished, told until its entries are in the audit chain."""

    step: Step
    receipt: SignedReceipt | None = None


def step(store: Store, now: datetime) -> Done | None:
    """The next piece of work; ``None`` when there is none. Raises as :class:`Store` does."""
    for one in destructions.without_entries(store.keys)[:1]:
        return Done(Step.DESTROYED, one)
    for pending in destructions.pending(store.keys)[:1]:
        return Done(Step.DESTROYED, finish_destruction(store, pending, now))
    if done := _rotate(store):
        return Done(done)
    if store.owed.clearing or store.owed.copy:
        settle_debts(store)
        return Done(Step.CLEARED)
    if store.keys.expire_intake(now) + destructions.forget_receipts(store.keys, now - RECEIPTS_KEPT):
        store.owed.clearing = True
        return Done(Step.EXPIRED)
    return None


def finish_destruction(store: Store, destruction: Destruction, now: datetime) -> SignedReceipt:
    """All that follows the deletion of the keys; may be repeated until it succeeds."""
    store.owed.clearing = True
    for bot in destruction.bots:
        store.records.forget(bot)
    settle_debts(store)
    copy = KeysCopy.NONE if store.copy.path is None else KeysCopy.REPLACED
    receipt = destructions.receipt_for(store.keys, destruction, copy, now)
    destructions.close(store.keys, receipt)
    store.owed.copy = True
    return receipt


def settle_debts(store: Store) -> None:
    """Clears the bytes of deleted keys, then replaces the separate copy."""
    if store.owed.clearing:
        store.keys.database.forget()
        store.owed.clearing, store.owed.copy = False, True
    if store.owed.copy:
        store.copy.replace(store.keys.database.image())
        store.owed.copy = False


def _rotate(store: Store) -> Step | None:
    keys = store.keys
    if rotation.rewrap(keys):
        store.owed.clearing = True
        return Step.ROTATED
    if keys.master.retiring:
        # The copy, too, must be under the new master key before the old one goes.
        settle_debts(store)
        store.masters.finish(keys.master)
        return Step.MASTER_EXCHANGED

    def binding_of(bot: str, name: str, version: int) -> Binding | None:
        return store.records.binding(bot, name, version)

    if rotation.rewrap_tenants(keys, binding_of):
        store.owed.clearing = True
        return Step.ROTATED
    return None
