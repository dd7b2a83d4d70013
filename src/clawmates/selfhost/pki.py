"""The local authority and the certificates of the platform's own processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Authority, Names, Pair, begins, expires, uri_names_of
from clawmates.selfhost.accounts import account_of, own
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.revoked import Revoked, read_revoked

if TYPE_CHECKING:
    from pathlib import Path

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


def leaves(node: str, *, hosted: bool = False) -> tuple[Leaf, ...]:
    """All that a platform needs; where it is self-hosted, the CLI stands where control would."""
    return (
        Leaf("vault", Role.VAULT, "vault-1", ("vault", "localhost", "127.0.0.1")),
        Leaf("node", Role.NODE, node),
        Leaf("cli", Role.CONTROL, "cli"),
        *((Leaf("control", Role.CONTROL, "control-1", ("control", "localhost", "127.0.0.1")),) if hosted else ()),
    )


def service_name(region: str, leaf: Leaf, revoked: Revoked) -> ServiceName:
    """The name that a leaf carries, at the first generation that still counts."""
    name = ServiceName(region, leaf.role, leaf.name)
    return replace(name, generation=revoked.least.get(name.base, 0))


def ensure(state: State, region: str, node: str, now: datetime, *, hosted: bool = False) -> tuple[str, ...]:
    """Makes what is missing and renews what has less than three days left; returns the folders renewed."""
    _make(state.pki, 0o711)
    authority = load_authority(state, now)
    _make(state.revoked.parent, 0o755)
    revoked = read_revoked(state.revoked)
    renewed = []
    for leaf in leaves(node, hosted=hosted):
        certificate, key = state.identity(leaf.folder)
        uri = str(service_name(region, leaf, revoked))
        if key.exists() and certificate.exists() and _good(certificate.read_bytes(), uri, now):
            continue
        account = account_of(leaf.folder)
        _make(certificate.parent, 0o755)
        pair = authority.issue(Names(leaf.dns, (uri,)), now)
        write_atomic(key, pair.key, mode=0o600, owner=account.owner)
        write_atomic(certificate, pair.certificate, mode=0o644, owner=account.owner)
        renewed.append(leaf.folder)
    return tuple(renewed)


def _make(folder: Path, mode: int) -> None:
    """With that mode whatever the umask is: root's is 0077 here and there, in our own units too."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(mode)


def revoke(state: State, name: ServiceName) -> ServiceName:
    """Lets no certificate of this service count that was issued before now; returns the name as it is issued next.

    A certificate of this host's own is issued anew at the next look: see :func:`ensure`.
    """
    state.revoked.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    least = dict(read_revoked(state.revoked).least)
    least[name.base] = least.get(name.base, 0) + 1
    write_atomic(state.revoked, encode_json(Revoked(least=least)) + b"\n", mode=0o644, owner=own().owner)
    return replace(name, generation=least[name.base])


def _good(certificate: bytes, uri: str, now: datetime) -> bool:
    """One that begins only later was made before the clock was set back."""
    in_time = begins(certificate) <= now < expires(certificate) - RENEW_BEFORE
    return uri_names_of(certificate) == (uri,) and in_time


def load_authority(state: State, now: datetime) -> Authority:
    """The local authority, made where there is none."""
    key = state.pki / "authority.key"
    if key.exists() and state.authority.exists():
        return Authority(Pair(state.authority.read_bytes(), key.read_bytes()))
    authority = Authority.create(AUTHORITY_NAME, now)
    write_atomic(key, authority.pair.key, mode=0o600, owner=own().owner)
    write_atomic(state.authority, authority.pair.certificate, mode=0o644, owner=own().owner)
    return authority
