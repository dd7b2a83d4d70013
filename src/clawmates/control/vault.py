"""The vault as control sees it: over mutual TLS 1.3 with control's own certificate, renewed while we run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.base.identity import ClientIdentity
from clawmates.base.settings import SettingsError, vault_address
from clawmates.wire.vault import IntakeKey
from clawmates.wire.vault_client import VaultClient, VaultUnreachableError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

KEY_SECONDS = 60.0
"""How long a page may seal to the key of before; the vault honours old ones for much longer."""


@dataclass(slots=True)
class VaultLine:
    """One way to the vault, for all requests of a replica. ``connect`` raises ``OSError`` and ``SettingsError``."""

    connect: Callable[[], VaultClient]
    clock: Clock
    _key: IntakeKey | None = None
    _until: float = 0.0

    def client(self) -> VaultClient:
        """For one call or a few; raises :class:`VaultUnreachableError` without an identity or an address."""
        try:
            return self.connect()
        except (OSError, SettingsError):
            raise VaultUnreachableError from None

    async def intake_key(self) -> IntakeKey:
        """What browsers seal to. Raises the client's errors."""
        now = self.clock.monotonic()
        if self._key is None or now >= self._until:
            self._key = await self.client().intake_key()
            self._until = now + KEY_SECONDS
        return self._key


def vault_line(settings: Settings, state: State, clock: Clock) -> VaultLine:
    """The vault of this region; where it is, and who we are, is looked at for each client."""
    identity = ClientIdentity(state, "control")

    def connect() -> VaultClient:
        host, port = vault_address(settings)
        return VaultClient(host, port, identity.context())

    return VaultLine(connect, clock)
