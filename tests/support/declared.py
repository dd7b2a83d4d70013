"""A state folder against the inventory: its files, and the fields of the lines in its log."""

from __future__ import annotations

from pathlib import Path

from clawmates.inventory.datum import Store
from clawmates.inventory.whole import Difference, compare, compare_files
from clawmates.proofs.kept import places


def files_of(state: Path) -> Difference:
    """``missing`` without what is seldom there."""
    compared = compare_files(places.files(state))
    return Difference(compared.undeclared, tuple(one for one in compared.missing if one not in places.SELDOM))


def fields_of(log: Path) -> Difference:
    """Of all lines there are; what is missing says little, because not everything happens."""
    lines = list(places.lines(log))
    assert lines, "nothing was written"
    return compare(Store.LOG, places.fields(lines))
