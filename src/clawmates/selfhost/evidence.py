"""Gathers what :mod:`clawmates.selfhost.auditing` judges: the vault's rows by its calls, node's list from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json
from clawmates.selfhost.auditing import Evidence
from clawmates.wire import vault_calls
from clawmates.wire.audit import Entry, Line, Witness

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.wire.vault_client import VaultClient


async def gather(state: State, settings: Settings, vault: VaultClient) -> Evidence:
    """All there is. Node's list is read first: what it holds, the vault must have. Raises the client's errors."""
    lines = read_lines(state.heads)
    return Evidence(
        region=settings.platform.region,
        node=settings.node.name,
        trusted=state.authority.read_bytes(),
        entries=await _entries(vault),
        witnesses=await _witnesses(vault),
        lines=lines,
    )


def read_lines(path: Path) -> tuple[Line | None, ...]:
    """Node's list; ``None`` for a line that cannot be read, nothing for a list that is not there."""
    try:
        raw = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    return tuple(_line(one) for one in raw)


def _line(raw: bytes) -> Line | None:
    try:
        return decode_json(Line, raw)
    except ShapeError:
        return None


async def _entries(vault: VaultClient) -> list[Entry]:
    found: list[Entry] = []
    while page := (await vault_calls.audit_entries(vault, len(found))).entries:
        found += page
    return found


async def _witnesses(vault: VaultClient) -> list[Witness]:
    found: list[Witness] = []
    last = 0
    while (page := await vault_calls.audit_witnesses(vault, last)).witnesses:
        found += page.witnesses
        last = page.last
    return found
