"""A finished destruction's entries in the audit chain: there once, wherever the vault was killed in between.

``keys.db`` notes with the receipt that its entries are owed; they are written to ``vault.db`` in one transaction, and
only then is the note taken away. Each entry names its receipt, so that one which is there already is found again.
Blocking, on the store's thread: nothing comes between the look and the writing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.vault import destruction as destructions
from clawmates.vault.ledger import Note
from clawmates.wire.receipt import Subject
from clawmates.wire.vault_deeds import Destroyed, Tag, TenantDestroyed

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.vault.keys import KeyStore
    from clawmates.vault.ledger import Ledger
    from clawmates.wire.receipt import Receipt


def write_down(keys: KeyStore, ledger: Ledger, receipt: Receipt, now: datetime) -> bool:
    """Writes what is owed of one destruction; whether anything was owed. May be repeated until it succeeds."""
    if not destructions.owes_entries(keys, receipt.id):
        return False
    ledger.append([note for note in entries_of(receipt, now) if not ledger.holds(note)])
    destructions.entered(keys, receipt.id)
    return True


def entries_of(receipt: Receipt, now: datetime) -> list[Note]:
    """One for each bot, and one for the tenant that went with them."""
    found = [Note(now, Tag.BOT_DESTROYED, Destroyed(bot=bot, receipt=receipt.id)) for bot in receipt.bots]
    if receipt.subject is Subject.TENANT:
        found.append(Note(now, Tag.TENANT_DESTROYED, TenantDestroyed(tenant=receipt.name, receipt=receipt.id)))
    return found
