"""A service's own hand: it signs audit heads, its own and its counterparts', and knows their hands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.wire.audit import Head, SignedHead, Witness, head_bytes, witness_bytes
from clawmates.wire.signatures import SignatureError, sign, signer

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.wire.names import Role, ServiceName


@dataclass(frozen=True, slots=True)
class Notary:
    """``identity`` is (certificate, key), read anew each time because they are renewed. Errors are ``OSError``."""

    region: str
    identity: tuple[Path, Path]
    authority: Path

    def sign(self, head: Head, before: Head, now: datetime) -> SignedHead:
        """Our word on our head; ``before`` is the one that the other side has signed last."""
        at = stamp(now)
        certificate, signature = self._sign(head_bytes(self.region, head, at))
        return SignedHead(head=head, before=before, at=at, certificate=certificate, signature=signature)

    def countersign(self, head: Head, line: Head, now: datetime) -> Witness:
        """Our word on a counterpart's head, and on our own list of such words."""
        at = stamp(now)
        certificate, signature = self._sign(witness_bytes(self.region, head, line, at))
        return Witness(head=head, line=line, at=at, certificate=certificate, signature=signature)

    def said_by(self, said: SignedHead, now: datetime, *roles: Role) -> ServiceName | None:
        """Who of these roles, and of this region, calls this its head, under a certificate that is valid now."""
        return self._by(head_bytes(self.region, said.head, said.at), said, now, roles)

    def witnessed_by(self, word: Witness, now: datetime, *roles: Role) -> ServiceName | None:
        """Who has signed this head of another's, in the same way."""
        return self._by(witness_bytes(self.region, word.head, word.line, word.at), word, now, roles)

    def _sign(self, data: bytes) -> tuple[str, str]:
        certificate, key = (path.read_bytes() for path in self.identity)
        return certificate.decode(), sign(key, data)

    def _by(
        self, data: bytes, signed: SignedHead | Witness, now: datetime, roles: tuple[Role, ...]
    ) -> ServiceName | None:
        authority = self.authority.read_bytes()
        try:
            name = signer(signed.certificate, data, signed.signature, authority=authority, at=now)
        except SignatureError:
            return None
        return name if name.role in roles and name.region == self.region else None
