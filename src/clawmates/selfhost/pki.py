"""The local authority and the certificates of the platform's own processes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.x509 import Authority, Names, Pair, expires
from clawmates.selfhost.accounts import account_of, own
from clawmates.wire.names import Role, ServiceName

if TYPE_CHECKING:
    from clawmates.base.paths import State

RENEW_BEFORE = timedelta(days=3)
AUTHORITY_NAME = "clawmates local authority"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One certificate: the folder below ``pki/`` and what it says."""

    folder: str
    role: Role
    name: str
    dns: tuple[str, ...] = ()


def leaves(node: str) -> tuple[Leaf, ...]:
    """All that a self-hosted platform needs; the CLI stands where control would."""
    return (
        Leaf("vault", Role.VAULT, "vault-1", ("vault", "localhost", "127.0.0.1")),
        Leaf("node", Role.NODE, node),
        Leaf("cli", Role.CONTROL, "cli"),
    )


def service_uri(region: str, leaf: Leaf) -> str:
    """The URI name that a leaf carries."""
    return str(ServiceName(region, leaf.role, leaf.name))


def ensure(state: State, region: str, node: str, now: datetime) -> tuple[str, ...]:
    """Makes what is missing and renews what has less than three days left; returns the folders renewed."""
    state.pki.mkdir(mode=0o711, parents=True, exist_ok=True)
    authority = _authority(state, now)
    renewed = []
    for leaf in leaves(node):
        certificate, key = state.identity(leaf.folder)
        if key.exists() and certificate.exists() and expires(certificate.read_bytes()) - now > RENEW_BEFORE:
            continue
        account = account_of(leaf.folder)
        certificate.parent.mkdir(mode=0o755, exist_ok=True)
        pair = authority.issue(Names(leaf.dns, (service_uri(region, leaf),)), now)
        write_atomic(key, pair.key, mode=0o600, owner=account.owner)
        write_atomic(certificate, pair.certificate, mode=0o644, owner=account.owner)
        renewed.append(leaf.folder)
    return tuple(renewed)


def _authority(state: State, now: datetime) -> Authority:
    key = state.pki / "authority.key"
    if key.exists() and state.authority.exists():
        return Authority(Pair(state.authority.read_bytes(), key.read_bytes()))
    authority = Authority.create(AUTHORITY_NAME, now)
    write_atomic(key, authority.pair.key, mode=0o600, owner=own().owner)
    write_atomic(state.authority, authority.pair.certificate, mode=0o644, owner=own().owner)
    return authority
