"""The vault as control sees it: over mutual TLS 1.3 with control's own certificate, renewed while we run."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.base.paths import State
from clawmates.base.settings import address
from clawmates.base.tls import client_context
from clawmates.wire.vault import IntakeKey
from clawmates.wire.vault_client import VaultClient, VaultUnreachableError

if TYPE_CHECKING:
    from clawmates.base.settings import Settings

KEY_SECONDS = 60.0
"""How long a page may seal to the key of before; the vault honours old ones for much longer."""


@dataclass(slots=True)
class VaultLine:
    """One way to the vault, for all requests of a replica. ``connect`` raises ``OSError`` where we have no identity."""

    connect: Callable[[], VaultClient]
    clock: Clock
    _key: IntakeKey | None = None
    _until: float = 0.0

    def client(self) -> VaultClient:
        """For one call or a few; raises :class:`VaultUnreachableError` where we have no identity."""
        try:
            return self.connect()
        except OSError:
            raise VaultUnreachableError from None

    async def intake_key(self) -> IntakeKey:
        """What browsers seal to. Raises the client's errors."""
        now = self.clock.monotonic()
        if self._key is None or now >= self._until:
            self._key = await self.client().intake_key()
            self._until = now + KEY_SECONDS
        return self._key


def vault_line(settings: Settings, state: State, clock: Clock) -> VaultLine:
    """The vault of this region."""
    host, port = address(settings.vault.listen)
    identity = _Identity(state)
    return VaultLine(lambda: VaultClient(host, port, identity.context()), clock)


@dataclass(slots=True)
class _Identity:
    """Certificate and key are two files, renewed one after the other: while they do not fit, the old pair is used."""

    state: State
    _seen: tuple[int, ...] = ()
    _context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        files = self.state.identity("control")
        try:
            seen = tuple(path.stat().st_mtime_ns for path in (self.state.authority, *files))
            if self._context is None or seen != self._seen:
                self._context = client_context(authority=self.state.authority, identity=files)
                self._seen = seen
        except OSError:
            if self._context is None:
                raise
        return self._context
