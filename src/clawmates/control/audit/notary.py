"""Control's own hand: it signs audit heads, its own and the vault's, and knows the vault's hand."""

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


@dataclass(frozen=True, slots=True)
class Notary:
    """``identity`` is (certificate, key), read anew each time because they are renewed. Errors are ``OSError``."""

    region: str
    identity: tuple[Path, Path]
    authority: Path

    def sign(self, head: Head, before: Head, now: datetime) -> SignedHead:
        """Control's word on its head; ``before`` is the one that the vault has signed last."""
        at = stamp(now)
        certificate, signature = self._sign(head_bytes(self.region, head, at))
        return SignedHead(head=head, before=before, at=at, certificate=certificate, signature=signature)

    def countersign(self, head: Head, line: Head, now: datetime) -> Witness:
        """Control's word on the vault's head, and on its own list of such words."""
        at = stamp(now)
        certificate, signature = self._sign(witness_bytes(self.region, head, line, at))
        return Witness(head=head, line=line, at=at, certificate=certificate, signature=signature)

    def said(self, said: SignedHead, now: datetime) -> bool:
        """Whether the vault of this region says so, under a certificate that is valid now."""
        return self._vault(head_bytes(self.region, said.head, said.at), said.certificate, said.signature, now)

    def witnessed(self, word: Witness, now: datetime) -> bool:
        """Whether the vault has signed this head of ours."""
        data = witness_bytes(self.region, word.head, word.line, word.at)
        return self._vault(data, word.certificate, word.signature, now)

    def _sign(self, data: bytes) -> tuple[str, str]:
        certificate, key = (path.read_bytes() for path in self.identity)
        return certificate.decode(), sign(key, data)

    def _vault(self, data: bytes, certificate: str, signature: str, now: datetime) -> bool:
        try:
            name = signer(certificate, data, signature, authority=self.authority.read_bytes(), at=now)
        except SignatureError:
            return False
        return name.role is Role.VAULT and name.region == self.region
