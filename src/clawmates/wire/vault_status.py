"""What the vault says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultStatus:
    """What the vault says of itself: names, numbers and words of its own."""

    region: str
    frozen: tuple[str, ...]
    """Bots that an alarm stopped: see `clawmates vault unfreeze`."""
    confinement: str
    memory_locked: bool
    entries: int
    """How long the audit chain is."""
    witnessed: int
    """How far it is countersigned."""
