"""Whether who calls may: deny by default."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import assert_never

from clawmates.wire.callers import Caller, Nobody
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.vault import VaultRefusal


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may call a route: services of these roles, or (``None``) anyone, a mate with a ticket above all."""

    roles: AbstractSet[Role] | None


ANYONE = Gate(None)
CONTROL = Gate(frozenset({Role.CONTROL}))
NODE = Gate(frozenset({Role.NODE}))
COUNTERPART = Gate(frozenset({Role.NODE, Role.CONTROL}))
"""Who countersigns the vault's audit chain."""


def admit(caller: Caller, gate: Gate, region: str) -> VaultRefusal | None:
    """``None`` lets the caller in. Another region's certificate opens nothing here, not even what is open to all."""
    match caller:
        case ServiceName():
            allowed = caller.region == region and (gate.roles is None or caller.role in gate.roles)
        case Nobody.NO_CERTIFICATE:
            allowed = gate.roles is None
        case Nobody.UNREADABLE:
            allowed = False
        case _:
            assert_never(caller)
    return None if allowed else VaultRefusal.NOT_ALLOWED
