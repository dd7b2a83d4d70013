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
from clawmates.wire.receipt import SignedReceipt

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.vault.store import Store
    from clawmates.wire.vault import Binding

COLLECT_SECONDS = 2.0
RECEIPTS_KEPT = timedelta(days=30)


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
        return Done(Step.DESTROYED, store.debts.finish(pending, now))
    if done := _rotate(store):
        return Done(done)
    if store.debts.owed:
        store.debts.settle()
        return Done(Step.CLEARED)
    if store.keys.expire_intake(now) + destructions.forget_receipts(store.keys, now - RECEIPTS_KEPT):
        store.debts.clearing = True
        return Done(Step.EXPIRED)
    return None


def _rotate(store: Store) -> Step | None:
    keys = store.keys
    if rotation.rewrap(keys):
        store.debts.clearing = True
        return Step.ROTATED
    if keys.master.retiring:
        # The copy, too, must be under the new master key before the old one goes.
        store.debts.settle()
        store.masters.finish(keys.master)
        return Step.MASTER_EXCHANGED

    def binding_of(bot: str, name: str, version: int) -> Binding | None:
        return store.records.binding(bot, name, version)

    if rotation.rewrap_tenants(keys, binding_of):
        store.debts.clearing = True
        return Step.ROTATED
    return None
