"""Reads a signed release and believes nothing in it that the pinned key did not sign.

``release.json`` and ``release.sig`` as :mod:`clawmates.wire.release` defines them. Signature: Ed25519 (RFC 8032). Needs
``cryptography``, so no mate imports it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.release import SIGNED_PREFIX, Release

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
RELEASE_FILE, SIGNATURE_FILE = "release.json", "release.sig"
_LARGEST = 1 << 20


class ReleaseError(Exception):
    """The release cannot be used."""


class ReleaseMissingError(ReleaseError):
    """There is no release, or a file of it is gone."""


class KeyNotPinnedError(ReleaseError):
    """The configuration names no key that signs releases."""


class NotSignedError(ReleaseError):
    """The release is not signed by the pinned key."""


class ReleaseUnreadableError(ReleaseError):
    """The release is signed but not of a format that is known here."""


def load(directory: Path, public_key: str) -> Release:
    """The release in ``directory``, signed by ``public_key`` (Base64); raises :class:`ReleaseError`.

    The image archive is not read.
    """
    document = _read(directory / RELEASE_FILE)
    signature = _read(directory / SIGNATURE_FILE)
    _check_signature(public_key, document, signature)
    try:
        release = decode_json(Release, document)
    except ShapeError as error:
        raise ReleaseUnreadableError(f"{RELEASE_FILE}: {error}") from None
    if release.format != FORMAT:
        raise ReleaseUnreadableError(f"{RELEASE_FILE} has format {release.format}, this software reads {FORMAT}")
    return release


def _check_signature(public_key: str, document: bytes, signature: bytes) -> None:
    if not public_key:
        raise KeyNotPinnedError("node.release_key is not set; without it nothing runs")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except ValueError:
        raise KeyNotPinnedError("node.release_key is not an Ed25519 public key in Base64") from None
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), SIGNED_PREFIX + document)
    except (ValueError, InvalidSignature):
        raise NotSignedError(NotSignedError.__doc__) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise ReleaseMissingError(f"cannot read {path}: {error.strerror}") from None
