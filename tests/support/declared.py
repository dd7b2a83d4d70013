"""A state folder against the inventory: its files, and the fields of the lines in its log."""

from __future__ import annotations

import json
import os
from pathlib import Path

from clawmates.inventory.datum import Store
from clawmates.inventory.whole import Difference, compare, compare_files

SELDOM = frozenset(
    {
        "backup/*",
        "node/release/*",
        "pki/enrolments.json",
        "pki/enrolments.lock",
        "pki/revoked/names.json",
        "vault/keys.db-journal",
        "vault/vault.db-journal",
        "vault/master.key.new",
        "vault/master.key.old",
        "control/control.db-wal",
        "control/control.db-shm",
    }
)
"""Not in every platform's life: made by an operator's command, amid a change, or while a database is open."""


def files_of(state: Path) -> Difference:
    """``missing`` without what is seldom there."""
    found = []
    for folder, folders, names in os.walk(state):
        here = Path(folder).relative_to(state)
        if here == Path("engine"):
            # As a whole it is the engine's, and may hold mounted containers.
            folders.clear()
            found.append("engine/storage")
        found += [str(here / name) for name in names]
    compared = compare_files(found)
    return Difference(compared.undeclared, tuple(one for one in compared.missing if one not in SELDOM))


def fields_of(log: Path) -> Difference:
    """Of all lines there are; what is missing says little, because not everything happens."""
    lines = [(path.name, line) for path in log.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert lines, "nothing was written"
    found = {f"{name.partition('-')[0]}.{key}" for name, line in lines for key in json.loads(line)}
    return compare(Store.LOG, found)
