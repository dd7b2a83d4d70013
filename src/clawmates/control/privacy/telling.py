"""The inventory in the reader's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.inventory import words
from clawmates.inventory.datum import Datum, Form, Store
from clawmates.inventory.files import BACKUPS
from clawmates.inventory.page import PAGE
from clawmates.inventory.whole import INVENTORY

if TYPE_CHECKING:
    from collections.abc import Iterable

GROUPS = (
    ("account", (Store.CONTROL,)),
    ("vault", (Store.VAULT, Store.KEYS)),
    ("disk", (Store.FILE, Store.LOG)),
    ("memory", (Store.RAM,)),
)
"""All that follows the seven rows, by where it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One datum, as a page shows it."""

    id: str
    what: str
    why: str
    end: str
    who: str
    where: str
    form: str
    basis: str
    backed_up: str
    """For how long a copy of it may be in a backup; empty where no backup has it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading."""

    key: str
    rows: tuple[Row, ...]


def row_of(datum: Datum, language: str) -> Row:
    """One row."""
    backed_up = {Store.CONTROL, Store.VAULT} & set(datum.stores)
    return Row(
        id=datum.id,
        what=datum.what.to(language),
        why=datum.why.to(language),
        end=words.end(datum).to(language),
        who=", ".join(words.VIEWER[one].to(language) for one in datum.seen_by),
        where=", ".join(words.STORE[one].to(language) for one in datum.stores),
        form="" if datum.form is Form.CLEAR else words.FORM[datum.form].to(language),
        basis=words.BASIS[datum.basis].to(language),
        backed_up=words.length(BACKUPS).to(language) if backed_up else "",
    )


def seven(language: str) -> tuple[Row, ...]:
    """The mission page's own."""
    return tuple(row_of(datum, language) for datum in PAGE)


def groups(language: str) -> tuple[Group, ...]:
    """The rest: what is about a person first."""
    rest = INVENTORY[len(PAGE) :]
    return tuple(Group(key, tuple(row_of(one, language) for one in _sorted(rest, stores))) for key, stores in GROUPS)


def _sorted(rest: Iterable[Datum], stores: tuple[Store, ...]) -> list[Datum]:
    """Each datum is in one group: that of its first store."""
    return sorted((one for one in rest if one.stores[0] in stores), key=lambda one: not one.about_a_person)
