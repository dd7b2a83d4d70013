"""Errands of :mod:`clawmates.control.nodes.moving`: what the vault is told while a bot is on its way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.control.nodes import moving
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task
from clawmates.control.vault import VaultLine
from clawmates.wire.vault import Assignment, VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.outbox.outbox import Handler

UNREACHABLE = "vault-unreachable"
FOR_GOOD = frozenset({VaultRefusal.BEING_DESTROYED, VaultRefusal.NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Seating:
    """Assigns a bot at the vault. ``lease`` is what every assignment is given for."""

    vault: VaultLine
    clock: Clock
    lease: timedelta
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """Tells the vault; what it will never do is refused for good."""
        wanted = moving.assigning_of(task.body)
        assignment = Assignment(tenant=wanted.tenant, node=wanted.node, lease_seconds=int(self.lease.total_seconds()))
        try:
            await self.vault.client().assign(wanted.bot, assignment)
        except VaultError as error:
            return (Refused if error.refusal in FOR_GOOD else Later)(error.refusal.value)
        except VaultCallError:
            return Later(UNREACHABLE)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """The next step of the move; a bot that is being destroyed moves no more."""
        wanted = moving.assigning_of(task.body)
        if isinstance(outcome, Refused):
            await moving.abandon(session, wanted.bot)
        elif task.kind == moving.FENCE:
            await moving.fenced(session, wanted.bot, self.lease, self.clock.now())
        else:
            await moving.seated(session, wanted, self.clock.now())


def handlers(vault: VaultLine, clock: Clock, lease: timedelta) -> Mapping[str, Handler]:
    """By kind of errand."""
    seating = Seating(vault, clock, lease)
    return {moving.FENCE: seating, moving.SEAT: seating}
