"""The vault's own hand: it signs its audit heads with the key of its certificate, and knows its counterpart's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.wire.audit import Head, SignedHead, Witness, head_bytes, witness_bytes
from clawmates.wire.names import Role
from clawmates.wire.signatures import SignatureError, sign, signer

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.wire.names import ServiceName


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

    def trusts(self, witness: Witness, caller: ServiceName, now: datetime) -> bool:
        """Whether it is the caller's own signature, by a node of this region, under a certificate that is valid now."""
        data = witness_bytes(self.region, witness.head, witness.line, witness.at)
        try:
            name = signer(witness.certificate, data, witness.signature, authority=self.authority.read_bytes(), at=now)
        except SignatureError:
            return False
        return name.role is Role.NODE and name == caller and name.region == self.region
