"""Signs releases with a local Ed25519 key, made on first use (RFC 8032).

Whoever holds the key decides what every node that pins it runs: keep it off the hosts it signs for.
"""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode_json
from clawmates.wire.release import SIGNED_PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.wire.release import Release

RELEASE_FILE, SIGNATURE_FILE, PUBLIC_FILE = "release.json", "release.sig", "release.pub"


class SigningError(Exception):
    """The signing key cannot be used."""


class KeyOpenError(SigningError):
    """Others than its owner may read the signing key."""


class KeyUnreadableError(SigningError):
    """The signing key is not 32 bytes in Base64."""


class SignatureError(SigningError):
    """The signature does not belong to these bytes and this key."""


def key_at(path: Path) -> Ed25519PrivateKey:
    """The key kept at ``path`` (Base64 of its 32 bytes, mode 0600), made when there is none.

    Raises :class:`SigningError`.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Ed25519PrivateKey.generate()
        write_atomic(path, base64.b64encode(fresh.private_bytes_raw()) + b"\n", mode=0o600)
        return fresh
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise KeyOpenError(f"{path} can be read by others; remedy: chmod 600, and think about a new key")
        text = stream.read(256)
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))
    except ValueError:
        raise KeyUnreadableError(f"{path} does not hold an Ed25519 key in Base64") from None


def public_text(key: Ed25519PrivateKey) -> str:
    """The Base64 public key, as node's configuration pins it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign(key: Ed25519PrivateKey, document: bytes) -> str:
    """The Base64 signature of a release document."""
    return base64.b64encode(key.sign(SIGNED_PREFIX + document)).decode()


def verify(public: str, document: bytes, signature: str) -> None:
    """Raises :class:`SignatureError` unless ``signature`` is ``public``'s over ``document``."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature.strip(), validate=True), SIGNED_PREFIX + document)
    except (ValueError, InvalidSignature):
        raise SignatureError(SignatureError.__doc__) from None


def write(directory: Path, release: Release, key: Ed25519PrivateKey) -> None:
    """Puts ``release.json``, ``release.sig`` and ``release.pub`` into ``directory``; the archive is there already.

    ``release.pub`` makes copying the pin easy; nobody trusts it for lying beside the signature.
    """
    write_atomic(directory / RELEASE_FILE, encode_json(release), mode=0o644)
    sign_file(directory, key)


def sign_file(directory: Path, key: Ed25519PrivateKey) -> None:
    """Signs the very bytes of the ``release.json`` that is in ``directory``."""
    document = (directory / RELEASE_FILE).read_bytes()
    write_atomic(directory / SIGNATURE_FILE, sign(key, document).encode() + b"\n", mode=0o644)
    write_atomic(directory / PUBLIC_FILE, public_text(key).encode() + b"\n", mode=0o644)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public key as other tools read it (``openssl pkeyutl -verify``)."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
