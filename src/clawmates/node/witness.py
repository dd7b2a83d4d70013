"""Node as the counterpart of the vault's audit chain, and the keeper of its bots' leases: once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.base.eventlog import EventLog
from clawmates.base.identity import ClientIdentity
from clawmates.base.paths import State
from clawmates.base.settings import Settings, SettingsError, vault_address
from clawmates.node.events import NodeEvent
from clawmates.node.heads import HeadsError, HeadsFile
from clawmates.node.leases import Renewal
from clawmates.wire import vault_calls
from clawmates.wire.audit import COUNTERSIGN_SECONDS, Head, Witness, head_bytes
from clawmates.wire.codes import Trouble
from clawmates.wire.leases import MAX_RENEWED, Lease, LeaseRenewal
from clawmates.wire.names import Role
from clawmates.wire.notary import Notary
from clawmates.wire.resumption import read_resumed
from clawmates.wire.signatures import SignatureError, signer
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultClient, VaultError

if TYPE_CHECKING:
    from clawmates.wire.audit import SignedHead

SHORTEST_SECONDS = 1.0
AWAY_SECONDS = 5.0
"""Until a vault that was away is tried again: a whole minute more would leave the chain unsigned for two."""


class DivergedError(Exception):
    """The vault's chain is not the one whose heads node has signed."""


@dataclass(slots=True)
class Counterpart:
    """``bots`` names the bots that should run; ``leased`` is told what became of their leases."""

    settings: Settings
    state: State
    identity: ClientIdentity
    clock: Clock
    log: EventLog
    bots: Callable[[], tuple[str, ...]] = tuple
    leased: Callable[[Renewal], None] = lambda _renewal: None
    diverged: bool = False
    """Shown in the status, until the chains agree again."""
    _heads: HeadsFile | None = None
    _told: int = 0
    """The line that the vault has acknowledged."""
    _pause: float = field(default=float(COUNTERSIGN_SECONDS))

    async def keep(self) -> None:
        """Meets the vault every minute, more often for short leases and after one that was away, for ever."""
        while True:
            met = await self.meet()
            await asyncio.sleep(self._pause if met else min(self._pause, AWAY_SECONDS))

    async def meet(self) -> bool:
        """One meeting: heads, then leases. Whether the vault was there; one that is away is met the next time."""
        try:
            host, port = vault_address(self.settings)
            vault = VaultClient(host, port, self.identity.context())
            await self._countersign(vault)
            await self._renew(vault)
        except (DivergedError, HeadsError):
            self._say(diverged=True)
        except (VaultCallError, SettingsError, OSError, SignatureError):
            return False
        return True

    async def _countersign(self, vault: VaultClient) -> None:
        heads = self._heads = self._heads or HeadsFile.open(self.state.heads)
        try:
            heads = self._heads = await self._resumed(vault, heads)
            said = await vault_calls.audit_head(vault, heads.head.number)
            grown = self._check(said, heads.head)
            # Every line is told once, in order: one whose answer was lost, or that a crash cut off, comes first.
            await self._tell(vault, heads)
            if grown:
                heads.add(heads.next(said))
                await self._tell(vault, heads)
        except VaultError as error:
            if error.refusal is VaultRefusal.DIVERGED:
                raise DivergedError from None
            raise
        self._say(diverged=False)

    async def _resumed(self, vault: VaultClient, heads: HeadsFile) -> HeadsFile:
        """The list to go on with: a new one, where root orders it and names a head of this one."""
        order = read_resumed(self.settings.run.resumed)
        seen = order.by(self.settings.node.name) if order is not None else None
        if order is None or seen is None or not heads.holds(seen):
            return heads
        said = await vault_calls.audit_head(vault, order.vault.number)
        if said.before != order.vault:
            return heads
        self._told = 0
        return heads.anew()

    async def _tell(self, vault: VaultClient, heads: HeadsFile) -> None:
        line = heads.last
        if line is not None and line.number != self._told:
            mine = Head(number=line.number, hash=line.hash)
            await vault_calls.witness(vault, self._witness(line.said.head, mine))
            self._told = line.number

    def _check(self, said: SignedHead, before: Head) -> bool:
        """Whether the chain has grown; raises :class:`DivergedError` for another one, or for another's word."""
        region, now = self.settings.platform.region, self.clock.now()
        authority = self.state.authority.read_bytes()
        data = head_bytes(region, said.head, said.at)
        name = signer(said.certificate, data, said.signature, authority=authority, at=now)
        if name.role is not Role.VAULT or name.region != region:
            raise DivergedError
        if said.before != before or said.head.number < before.number:
            raise DivergedError
        if said.head.number == before.number and said.head != before:
            raise DivergedError
        return said.head.number > before.number

    def _witness(self, head: Head, line: Head) -> Witness:
        notary = Notary(self.settings.platform.region, self.state.identity("node"), self.state.authority)
        return notary.countersign(head, line, self.clock.now())

    async def _renew(self, vault: VaultClient) -> None:
        wanted, asked_at = self.bots(), self.clock.monotonic()
        leases: list[Lease] = []
        for start in range(0, len(wanted), MAX_RENEWED):
            answer = await vault_calls.renew(vault, LeaseRenewal(bots=wanted[start : start + MAX_RENEWED]))
            leases += answer.leases
        ending = [lease.seconds / 3 for lease in leases if lease.seconds is not None]
        self._pause = max(SHORTEST_SECONDS, min([float(COUNTERSIGN_SECONDS), *ending]))
        self.leased(Renewal(bots=wanted, leases=tuple(leases), asked_at=asked_at))

    def _say(self, *, diverged: bool) -> None:
        if diverged and not self.diverged:
            self.log.write(NodeEvent(code=Trouble.AUDIT_DIVERGED))
        self.diverged = diverged
