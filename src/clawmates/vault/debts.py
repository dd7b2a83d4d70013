"""What ``keys.db`` still owes after something in it was deleted: bytes to clear, and a separate copy that is behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.vault import destruction as destructions
from clawmates.vault.keycopy import KeyCopy
from clawmates.vault.keys import KeyStore
from clawmates.vault.records import RecordStore
from clawmates.wire.receipt import KeysCopy, SignedReceipt

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.vault.destruction import Destruction


@dataclass(slots=True)
class Debts:
    """In RAM; a start pays both. Raises as :class:`~clawmates.vault.store.Store` does."""

    keys: KeyStore
    records: RecordStore
    separate: KeyCopy
    clearing: bool = False
    copy: bool = False

    @property
    def owed(self) -> bool:
        """Whether there is anything to pay."""
        return self.clearing or self.copy

    def settle(self) -> None:
        """Clears the bytes of deleted keys, then replaces the separate copy."""
        if self.clearing:
            self.keys.database.forget()
            self.clearing, self.copy = False, True
        if self.copy:
            self.separate.replace(self.keys.database.image())
            self.copy = False

    def finish(self, destruction: Destruction, now: datetime) -> SignedReceipt:
        """All that follows the deletion of the keys; may be repeated until it succeeds."""
        self.clearing = True
        for bot in destruction.bots:
            self.records.forget(bot)
        self.settle()
        copy = KeysCopy.NONE if self.separate.path is None else KeysCopy.REPLACED
        receipt = destructions.receipt_for(self.keys, destruction, copy, now)
        destructions.close(self.keys, receipt)
        self.copy = True
        return receipt
