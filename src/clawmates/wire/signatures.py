"""Signatures by a service's own key, checked against the certificate that names it (ECDSA P-256, SHA-256).

Needs ``cryptography``, so no mate imports it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clawmates.wire.names import ServiceName


class SignatureError(ValueError):
    """The signature, or the certificate behind it, does not hold."""


def sign(key: bytes, data: bytes) -> str:
    """Base64 of the signature by a PEM key; raises :class:`SignatureError` for a key of another kind."""
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError):
        raise SignatureError("not a private key") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise SignatureError("not an elliptic-curve key")
    return b64encode(private.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def signer(certificate: str, data: bytes, signature: str, *, authority: bytes, at: datetime) -> ServiceName:
    """Who signed ``data``; the certificate must be the authority's (PEM) and valid at ``at``.

    Raises :class:`SignatureError`.
    """
    try:
        leaf = _leaf(certificate, authority)
        raw = b64decode(signature, validate=True)
        if b64encode(raw).decode() != signature:
            raise SignatureError("not in the one form that it is written in")
        if not leaf.since <= at <= leaf.until:
            raise SignatureError("the certificate was not valid then")
        leaf.key.verify(raw, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise SignatureError("the signature does not hold") from None
    return leaf.name


@dataclass(frozen=True, slots=True)
class _Leaf:
    name: ServiceName
    key: ec.EllipticCurvePublicKey
    since: datetime
    until: datetime


@lru_cache(maxsize=64)
def _leaf(certificate: str, authority: bytes) -> _Leaf:
    """What a certificate says, checked against its issuer: once a week a new one, and thousands of signatures."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        if leaf.public_bytes(serialization.Encoding.PEM).decode() != certificate:
            raise SignatureError("not in the one form that it is written in")
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        public = leaf.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise SignatureError("not an elliptic-curve key")
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        return _Leaf(ServiceName.parse(uri), public, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    except (InvalidSignature, TypeError, x509.ExtensionNotFound):
        raise SignatureError("not a certificate of the authority") from None
