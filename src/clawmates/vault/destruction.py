"""Destructions: keys first, then records, then the separate copy of the keys; at the end a signed receipt.

The keys' deletion and the note of what is still to be done are one transaction in ``keys.db``. From there on nothing
can bring the keys back, and a vault that was killed finishes the rest at its next start.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.base.shape import decode_json, encode_json
from clawmates.vault.keys import drop_idle
from clawmates.wire.receipt import MAX_RECEIPT, DestroyedItem, KeysCopy, Receipt, SignedReceipt, Subject, sign

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.vault.keys import KeyStore

SOFTWARE = f"clawmates {version('clawmates')}"
_ID_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Destruction:
    """What was condemned. ``tenant_keys`` of the tenant's keys went with it."""

    id: str
    subject: Subject
    name: str
    tenant: str
    bots: tuple[str, ...]
    items: tuple[DestroyedItem, ...]
    tenant_keys: int
    asked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be destroyed: a bot, or a tenant with all its bots."""

    subject: Subject
    name: str
    tenant: str
    bots: tuple[str, ...]


def condemn(keys: KeyStore, target: Target, items: tuple[DestroyedItem, ...], now: datetime) -> Destruction:
    """Deletes the keys and notes the rest, in one transaction; a tenant's own keys go with the tenant."""
    with keys.database.transaction() as connection:
        connection.executemany("DELETE FROM data_keys WHERE bot = ?", [(bot,) for bot in target.bots])
        if target.subject is Subject.TENANT:
            connection.execute("DELETE FROM data_keys WHERE tenant = ?", (target.name,))
            # What control has of them in any backup is noise from here on.
            connection.execute("DELETE FROM backup_keys WHERE tenant = ?", (target.name,))
        # With no data key left under them, a tenant's keys are idle.
        dropped = drop_idle(connection)
        destruction = Destruction(
            id=keys.random(_ID_BYTES).hex(),
            subject=target.subject,
            name=target.name,
            tenant=target.tenant,
            bots=target.bots,
            items=items,
            tenant_keys=dropped,
            asked=stamp(now),
        )
        connection.execute(
            "INSERT INTO destructions VALUES (?, ?, ?, ?, ?, NULL)",
            (
                destruction.id,
                target.subject.value,
                target.name,
                destruction.asked,
                encode_json(destruction).decode(),
            ),
        )
    return destruction


def nothing(keys: KeyStore, target: Target, now: datetime) -> Destruction:
    """What there is to say of a target that is not here; it is not kept."""
    return Destruction(
        id=keys.random(_ID_BYTES).hex(),
        subject=target.subject,
        name=target.name,
        tenant=target.tenant,
        bots=(),
        items=(),
        tenant_keys=0,
        asked=stamp(now),
    )


def pending(keys: KeyStore) -> tuple[Destruction, ...]:
    """Those that are not finished, oldest first."""
    rows = keys.database.connection.execute("SELECT plan FROM destructions WHERE receipt IS NULL ORDER BY asked")
    return tuple(decode_json(Destruction, plan.encode(), MAX_RECEIPT) for (plan,) in rows)


def is_condemned(keys: KeyStore, bot: str) -> bool:
    """Whether a bot's destruction has begun and is not finished."""
    return any(bot in one.bots for one in pending(keys))


def receipt_for(keys: KeyStore, destruction: Destruction, copy: KeysCopy, now: datetime) -> SignedReceipt:
    """The signed receipt."""
    key = keys.signing_key()
    receipt = Receipt(
        id=destruction.id,
        region=keys.region,
        subject=destruction.subject,
        name=destruction.name,
        tenant=destruction.tenant,
        bots=destruction.bots,
        items=destruction.items,
        tenant_keys=destruction.tenant_keys,
        asked=destruction.asked,
        destroyed=stamp(now),
        keys_copy=copy,
        software=SOFTWARE,
        key_id=key.id,
    )
    return sign(key.private, receipt)


def close(keys: KeyStore, receipt: SignedReceipt) -> None:
    """The destruction is finished; its receipt is kept, for one who did not get the answer. Its entries are owed."""
    with keys.database.transaction() as connection:
        connection.execute(
            "UPDATE destructions SET receipt = ? WHERE id = ?", (encode_json(receipt).decode(), receipt.receipt.id)
        )
        connection.execute("INSERT INTO owed_entries VALUES (?)", (receipt.receipt.id,))


def without_entries(keys: KeyStore) -> tuple[SignedReceipt, ...]:
    """Receipts whose entries are not known to be in the audit chain, oldest first."""
    rows = keys.database.connection.execute(
        "SELECT receipt FROM destructions JOIN owed_entries ON id = destruction ORDER BY asked"
    )
    return tuple(decode_json(SignedReceipt, receipt.encode(), MAX_RECEIPT) for (receipt,) in rows)


def owes_entries(keys: KeyStore, destruction: str) -> bool:
    """Whether that one is among them."""
    row = keys.database.connection.execute("SELECT 1 FROM owed_entries WHERE destruction = ?", (destruction,))
    return row.fetchone() is not None


def entered(keys: KeyStore, destruction: str) -> None:
    """Its entries are in the chain."""
    with keys.database.transaction() as connection:
        connection.execute("DELETE FROM owed_entries WHERE destruction = ?", (destruction,))


def kept_receipt(keys: KeyStore, subject: Subject, name: str) -> SignedReceipt | None:
    """The newest receipt for a bot or tenant of that name."""
    row = keys.database.connection.execute(
        "SELECT receipt FROM destructions WHERE subject = ? AND name = ? AND receipt IS NOT NULL"
        " ORDER BY asked DESC, rowid DESC LIMIT 1",
        (subject.value, name),
    ).fetchone()
    return None if row is None else decode_json(SignedReceipt, row[0].encode(), MAX_RECEIPT)


def forget_receipts(keys: KeyStore, before: datetime) -> int:
    """Deletes receipts of destructions that were asked for before that moment; says how many."""
    with keys.database.transaction() as connection:
        return connection.execute(
            "DELETE FROM destructions WHERE receipt IS NOT NULL AND asked < ?"
            " AND id NOT IN (SELECT destruction FROM owed_entries)",
            (stamp(before),),
        ).rowcount
