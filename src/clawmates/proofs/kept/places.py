"""Which files lie in a state folder, and which fields the lines of its log have."""

from __future__ import annotations

import json
import os
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from clawmates.base.settings import Settings

ENGINE = "engine"
NO_JSON = "(a line that is no JSON object)"
_AMID = "there in the middle of a change only"
_ORDERED = "made by an operator's command"
SELDOM: Mapping[str, str] = MappingProxyType(
    {
        "backup/*": _ORDERED,
        "node/release/*": "after the first release that came to life",
        "pki/enrolments.json": _ORDERED,
        "pki/enrolments.lock": _ORDERED,
        "pki/revoked/names.json": _ORDERED,
        "vault/keys.db-journal": _AMID,
        "vault/vault.db-journal": _AMID,
        "vault/master.key.new": _AMID,
        "vault/master.key.old": _AMID,
        "control/control.db-wal": "while the database is open",
        "control/control.db-shm": "while the database is open",
    }
)
"""Declared files that are not in every platform's life, and when they are."""
EARLY: Mapping[str, str] = MappingProxyType({"node/heads.jsonl": "after node has first signed for the vault's chain"})
"""Those that a platform has soon, and not at once."""
HOSTED = ("control/",)
SELF_HOSTED = frozenset({"desired.json"})
SQLITE = "control/control.db"


def files(state: Path) -> frozenset[str]:
    """Paths below the state folder; the engine's own, which may hold mounted containers, as one."""
    found = set()
    for folder, folders, names in os.walk(state):
        here = os.path.relpath(folder, state)
        if here == ENGINE:
            folders.clear()
            found.add(f"{ENGINE}/storage")
            continue
        found |= {os.path.normpath(os.path.join(here, name)) for name in names}  # noqa: PTH118 - names, no paths
        # A link to a folder is no folder to walk into, and a name all the same.
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        found |= {os.path.normpath(os.path.join(here, name)) for name in links}  # noqa: PTH118
    return frozenset(found)


def elsewhere(pattern: str, settings: Settings) -> str:
    """Why a declared file need not be there; empty where it must."""
    if pattern in SELDOM or pattern in EARLY:
        return SELDOM.get(pattern) or EARLY[pattern]
    if settings.hosted:
        if pattern in SELF_HOSTED:
            return "on a self-hosted platform"
        if pattern.startswith(SQLITE) and settings.control.database:
            return "where control's database is SQLite"
        return ""
    return "on a hosted platform" if pattern.startswith(HOSTED) else ""


def lines(log: Path) -> Iterator[tuple[str, bytes]]:
    """(process, line) of every event there is. Raises ``OSError``."""
    for path in sorted(log.glob("*.jsonl")):
        process = path.name.partition("-")[0]
        for line in path.read_bytes().splitlines():
            yield process, line


def fields(said: Iterable[tuple[str, bytes]]) -> frozenset[str]:
    """``PROCESS.FIELD`` of all of them; what is nested keeps its parents' names."""
    found = set()
    for process, line in said:
        try:
            known = json.loads(line)
        except ValueError:
            known = None
        names = list(_names(known)) if isinstance(known, dict) else [NO_JSON]
        found |= {f"{process}.{name}" for name in names}
    return frozenset(found)


def _names(known: dict[str, object]) -> Iterator[str]:
    for name, value in known.items():
        if isinstance(value, dict):
            yield from (f"{name}/{inner}" for inner in _names(value))
        else:
            yield name
