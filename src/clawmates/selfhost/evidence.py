"""Gathers what :mod:`clawmates.selfhost.auditing` judges: by the vault's calls, node's file, control's socket.

While it is gathered the platform goes on. So countersignatures are read first, then the list of whoever gave them, then
the chain: each holds all that the one before it speaks of. A line that was added meanwhile is too young to be missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json
from clawmates.selfhost.auditing import Evidence
from clawmates.wire import vault_calls
from clawmates.wire.audit import Entry, Line, Witness
from clawmates.wire.names import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.wire.audit import Entries, Lines, Witnesses
    from clawmates.wire.operator_client import OperatorClient
    from clawmates.wire.vault_client import VaultClient


async def gather(
    state: State, settings: Settings, vault: VaultClient, node: str = "", heads: Path | None = None
) -> Evidence:
    """The vault's chain and node's list, or the copy of another host's node. Raises the client's errors."""
    witnesses = await _witnesses(lambda after: vault_calls.audit_witnesses(vault, after))
    lines = read_lines(heads or state.heads)
    return Evidence(
        region=settings.platform.region,
        node=node or settings.node.name,
        trusted=state.authority.read_bytes(),
        entries=await _entries(lambda after: vault_calls.audit_entries(vault, after)),
        witnesses=witnesses,
        lines=lines,
    )


async def gather_hosted(
    state: State, settings: Settings, vault: VaultClient, control: OperatorClient
) -> tuple[Evidence, Evidence]:
    """The vault's chain with control's list, and control's with the vault's. Raises both clients' errors."""
    region, trusted = settings.platform.region, state.authority.read_bytes()
    told = await _witnesses(lambda after: vault_calls.audit_witnesses(vault, after))
    of_control = await _lines(control.lines)
    given = await _witnesses(control.witnesses)
    of_vault = await _lines(lambda after: vault_calls.audit_lines(vault, after))
    return (
        Evidence(
            region=region,
            trusted=trusted,
            by=Role.CONTROL,
            entries=await _entries(lambda after: vault_calls.audit_entries(vault, after)),
            witnesses=told,
            lines=of_control,
        ),
        Evidence(
            region=region,
            trusted=trusted,
            owner=Role.CONTROL,
            by=Role.VAULT,
            entries=await _entries(control.entries),
            witnesses=given,
            lines=of_vault,
        ),
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


async def _entries(page_after: Callable[[int], Awaitable[Entries]]) -> list[Entry]:
    """By the number of the last one: a page that does not lead on would be asked for without end."""
    found: list[Entry] = []
    last = 0
    while (page := (await page_after(last)).entries) and page[-1].number > last:
        found += page
        last = page[-1].number
    return found


async def _lines(page_after: Callable[[int], Awaitable[Lines]]) -> list[Line]:
    found: list[Line] = []
    last = 0
    while (page := (await page_after(last)).lines) and page[-1].number > last:
        found += page
        last = page[-1].number
    return found


async def _witnesses(page_after: Callable[[int], Awaitable[Witnesses]]) -> list[Witness]:
    found: list[Witness] = []
    last = 0
    while (page := await page_after(last)).witnesses and page.last > last:
        found += page.witnesses
        last = page.last
    return found
