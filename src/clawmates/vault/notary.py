"""The vault's own hand: it signs audit heads, its own and control's, and knows the hands of its counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.wire.audit import Head, SignedHead, Witness, head_bytes, witness_bytes
from clawmates.wire.names import Role
from clawmates.wire.signatures import SignatureError, sign, signer

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from clawmates.wire.names import ServiceName

COUNTERPARTS = frozenset({Role.NODE, Role.CONTROL})


@dataclass(frozen=True, slots=True)
class Notary:
    """``identity`` is (certificate, key), read anew each minute because they are renewed. Errors are ``OSError``."""

    region: str
    identity: tuple[Path, Path]
    authority: Path

    def sign(self, head: Head, before: Head, now: datetime) -> SignedHead:
        """The vault's word on its head."""
        at = stamp(now)
        certificate, key = (path.read_bytes() for path in self.identity)
        signature = sign(key, head_bytes(self.region, head, at))
        return SignedHead(head=head, before=before, at=at, certificate=certificate.decode(), signature=signature)

    def countersign(self, head: Head, line: Head, now: datetime) -> Witness:
        """The vault's word on control's head, and on its own list of such words."""
        at = stamp(now)
        certificate, key = (path.read_bytes() for path in self.identity)
        signature = sign(key, witness_bytes(self.region, head, line, at))
        return Witness(head=head, line=line, at=at, certificate=certificate.decode(), signature=signature)

    def trusts(self, witness: Witness, caller: ServiceName, now: datetime) -> bool:
        """Whether it is the caller's own signature, by a counterpart of this region, under a certificate valid now."""
        data = witness_bytes(self.region, witness.head, witness.line, witness.at)
        return self._by(COUNTERPARTS, caller, witness.certificate, data, witness.signature, now)

    def believes(self, said: SignedHead, caller: ServiceName, now: datetime) -> bool:
        """Whether control itself, who calls, says that this is its head."""
        data = head_bytes(self.region, said.head, said.at)
        return self._by(frozenset({Role.CONTROL}), caller, said.certificate, data, said.signature, now)

    def _by(
        self,
        roles: AbstractSet[Role],
        caller: ServiceName,
        certificate: str,
        data: bytes,
        signature: str,
        now: datetime,
    ) -> bool:
        try:
            name = signer(certificate, data, signature, authority=self.authority.read_bytes(), at=now)
        except SignatureError:
            return False
        return name.role in roles and name == caller and name.region == self.region
