"""Which table is of which sort in a backup: of an account, about nobody, or left out. Pure; an unnamed one is refused.

What is left out ends within the hour or the month by itself (sessions, links, tries), is made anew (holds of jobs), or
belongs to a deletion, which a restore begins again.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, cast

from clawmates.control.accounts.tables import Account
from clawmates.control.bots.tables import Bot
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.tables import METADATA

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

ACCOUNTS, BOTS, ERRANDS = (cast("Table", one.__table__) for one in (Account, Bot, Errand))
SHARED = frozenset({"audit_entries", "audit_witnesses", "nodes", "retention_runs"})
LEFT_OUT = frozenset(
    {
        *("links", "sessions", "challenges", "email_changes", "attempts", "bot_pairings"),
        *("erasures", "bot_ends", "retention_jobs"),
    }
)
LANES = ("bot/", "old/")
"""Errands in these are of the bot whose id follows; all others are mails and the platform's own."""


class Sort(Enum):
    """How a table is in a backup."""

    OWNED = "owned"
    SHARED = "shared"
    LEFT_OUT = "left-out"


def sorts(tables: tuple[Table, ...] | None = None) -> dict[Table, Sort]:
    """Parents first. Raises ``LookupError`` for a table of no sort: better no backup than one that says too much."""
    found = {}
    for table in tables if tables is not None else tuple(METADATA.sorted_tables):
        if table.name in LEFT_OUT:
            found[table] = Sort.LEFT_OUT
        elif table.name in SHARED:
            found[table] = Sort.SHARED
        elif table in (ACCOUNTS, ERRANDS) or way(table) is not None:
            found[table] = Sort.OWNED
        else:
            raise LookupError(f"{table.name} is of no sort: say in control/backups/sorts.py what a backup holds of it")
    return found


def way(table: Table) -> tuple[Column[object], Table] | None:
    """(column, :data:`ACCOUNTS` or :data:`BOTS`): by which a row says whose it is."""
    for root in (ACCOUNTS, BOTS):
        for key in table.foreign_keys:
            if key.column.table is root:
                return key.parent, root
    return None
