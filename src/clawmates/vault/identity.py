"""Who calls, and whether they may: deny by default."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from clawmates.base.tls import uri_names
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.vault import VaultRefusal


class Nobody(Enum):
    """A caller without a service's name."""

    NO_CERTIFICATE = auto()
    """A mate, or anyone else who can reach the port."""
    UNREADABLE = auto()
    """A certificate of our authority that names no service, or several."""


Caller = ServiceName | Nobody


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may call a route: services of these roles, or (``None``) anyone, a mate with a ticket above all."""

    roles: AbstractSet[Role] | None


ANYONE = Gate(None)
CONTROL = Gate(frozenset({Role.CONTROL}))
NODE = Gate(frozenset({Role.NODE}))


def caller_of(certificate: object) -> Caller:
    """The caller named by what ``SSLObject.getpeercert()`` returned; the chain was verified in the handshake."""
    if not certificate:
        return Nobody.NO_CERTIFICATE
    names = uri_names(certificate)
    if len(names) != 1:
        return Nobody.UNREADABLE
    try:
        return ServiceName.parse(names[0])
    except ValueError:
        return Nobody.UNREADABLE


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
