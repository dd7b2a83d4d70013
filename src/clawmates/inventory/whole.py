"""The whole inventory: the page's seven rows first, then all the rest; and whether what is found is declared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from clawmates.inventory.control import CONTROL
from clawmates.inventory.datum import Datum, Store
from clawmates.inventory.files import FILES
from clawmates.inventory.memory import MEMORY
from clawmates.inventory.page import PAGE
from clawmates.inventory.vault import VAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

INVENTORY: tuple[Datum, ...] = (*PAGE, *CONTROL, *VAULT, *FILES, *MEMORY)


@dataclass(frozen=True, slots=True)
class Difference:
    """What is there and not declared, and what is declared and not there; sorted."""

    undeclared: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def by_id(name: str) -> Datum:
    """The datum of that id; raises ``KeyError``."""
    return _by_id()[name]


def of_store(*stores: Store) -> tuple[Datum, ...]:
    """Those that are in one of these, wholly or in part."""
    return tuple(datum for datum in INVENTORY if not set(stores).isdisjoint(datum.stores))


def columns(store: Store, inventory: Iterable[Datum] = INVENTORY) -> frozenset[str]:
    """All columns of a store as a schema has them: ``TABLE.COLUMN``, a pattern, ``PROCESS.FIELD``."""
    declared = (column.partition(".") for datum in inventory for column in datum.columns)
    return frozenset(
        re.sub(r"/[^./]+\.", ".", rest) if store in _SLICED else rest for first, _, rest in declared if first == store
    )


def owner_of(store: Store, column: str, item: str = "") -> Datum | None:
    """To which datum a column belongs; ``item`` in rows of the vault that are of that kind."""
    table, _, name = column.partition(".")
    written = {f"{store.value}.{column}", f"{store.value}.{table}/{item}.{name}"}
    return next((datum for datum in INVENTORY if not written.isdisjoint(datum.columns)), None)


def compare(store: Store, found: Iterable[str], inventory: Iterable[Datum] = INVENTORY) -> Difference:
    """Holds what a schema or a log has against the declaration."""
    there, declared = set(found), columns(store, inventory)
    return Difference(tuple(sorted(there - declared)), tuple(sorted(declared - there)))


def compare_files(found: Iterable[str], inventory: Iterable[Datum] = INVENTORY) -> Difference:
    """The same for files, by their paths below the state folder; ``missing`` are patterns that nothing matches."""
    patterns = {text: _pattern(text) for text in columns(Store.FILE, inventory)}
    met: set[str] = set()
    strange: set[str] = set()
    for path in found:
        fitting = {text for text, pattern in patterns.items() if pattern.fullmatch(path)}
        met |= fitting
        strange |= set() if fitting else {path}
    return Difference(tuple(sorted(strange)), tuple(sorted(patterns.keys() - met)))


_SLICED = frozenset({Store.VAULT, Store.KEYS})
_WILD = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


@cache
def _by_id() -> dict[str, Datum]:
    return {datum.id: datum for datum in INVENTORY}


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join(_WILD.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", text)), re.DOTALL)
