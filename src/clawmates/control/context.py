"""What every request and every job of control may reach, made once at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.clock import Clock
from clawmates.base.secret import Secret
from clawmates.base.settings import Settings
from clawmates.control.erasure.tombstones import Tombstones
from clawmates.control.hub import Hub
from clawmates.control.store.database import Database
from clawmates.control.vault import VaultLine
from clawmates.wire.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Handed to both faces and to the jobs; tests make their own."""

    settings: Settings
    database: Database
    clock: Clock
    random: Callable[[int], bytes]
    """So many bytes nobody can guess."""
    pepper: Secret[bytes]
    """32 bytes of this platform: keys the hashes of addresses and networks. It opens nothing."""
    tombstones: Tombstones
    """Who was deleted, beside the database."""
    release: Callable[[], Release | None]
    """The signed release as it is now; ``None`` where there is none that can be believed."""
    hub: Hub
    """Who waits for news at this replica."""
    vault: VaultLine
    """The way to the vault."""
    backups: Path | None = None
    """The folder in which backups lie for thirty days; ``None`` where there is none."""

    @property
    def origin(self) -> str:
        """``https://HOST[:PORT]``, as browsers write it."""
        return self.settings.control.origin.rstrip("/")
