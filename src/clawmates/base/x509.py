"""A small authority for leaves that live a week (RFC 5280, ECDSA P-256).

Used for the platform's own certificates, and by stand-ins for theirs. Needs ``cryptography``, so no mate imports it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_LIFE = timedelta(days=7)
AUTHORITY_LIFE = timedelta(days=3650)
_EARLY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Names:
    """What a leaf is valid for; ``dns`` may hold IP addresses."""

    dns: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs leaves. Nothing but its :class:`Pair` needs keeping."""

    pair: Pair

    @classmethod
    def create(cls, name: str, now: datetime) -> Authority:
        """A fresh self-signed authority that can sign leaves only."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLY)
            .not_valid_after(now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(_pair(certificate, key))

    def issue(self, names: Names, now: datetime, *, life: timedelta = LEAF_LIFE) -> Pair:
        """A leaf for TLS servers and clients alike, with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _pair(self._leaf(key.public_key(), names, now, life), key)

    def certify(self, request: bytes, names: Names, now: datetime, *, life: timedelta = LEAF_LIFE) -> bytes:
        """A leaf (PEM) for the key of a certificate request (PEM); of the request, nothing but its key is believed.

        Raises ``ValueError`` for a request that is malformed, not signed by its own key, or of another kind of key.
        """
        try:
            asked = x509.load_pem_x509_csr(request)
            key = asked.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("not a certificate request") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("the key is not ECDSA P-256")  # noqa: TRY004 - what came is wrong, not a type of ours
        if not asked.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        return self._leaf(key, names, now, life).public_bytes(serialization.Encoding.PEM)

    def _leaf(
        self, public: ec.EllipticCurvePublicKey, names: Names, now: datetime, life: timedelta
    ) -> x509.Certificate:
        issuer = x509.load_pem_x509_certificate(self.pair.certificate)
        issuer_key = serialization.load_pem_private_key(self.pair.key, None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not an elliptic-curve key")
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLY)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )


def new_request() -> tuple[bytes, bytes]:
    """A fresh key and a request for a certificate to it, both PEM; names are the issuer's to give."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private, request.public_bytes(serialization.Encoding.PEM)


def uri_names_of(certificate: bytes) -> tuple[str, ...]:
    """The URI names in a PEM certificate; raises ``ValueError`` for what is none."""
    try:
        names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.value.get_values_for_type(x509.UniformResourceIdentifier))


def begins(certificate: bytes) -> datetime:
    """The moment from which a PEM certificate is valid, UTC."""
    return x509.load_pem_x509_certificate(certificate).not_valid_before_utc


def expires(certificate: bytes) -> datetime:
    """The moment after which a PEM certificate is no longer valid, UTC."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _general_names(names: Names) -> list[x509.GeneralName]:
    general: list[x509.GeneralName] = []
    for name in names.dns:
        try:
            general.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            general.append(x509.DNSName(name))
    return general + [x509.UniformResourceIdentifier(uri) for uri in names.uri]


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
