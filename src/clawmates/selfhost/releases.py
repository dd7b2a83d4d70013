"""Release folders as their signer and their checkers see them; no platform is needed.

What is signed is a document that names digests, so that every byte beside it stands or falls with the signature.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clawmates.base.shape import ShapeError, decode_json
from clawmates.node.release import SbomMismatchError, check_archive, check_sbom
from clawmates.selfhost import signing
from clawmates.wire.release import Release
from clawmates.wire.releases import FORMAT, ReleaseError, ReleaseUnreadableError, load

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.base.secret import Secret


class OtherDigestError(ReleaseError):
    """The release's image is not the one that was asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A release in which everything that was looked at fits together."""

    number: int
    digest: str
    config: str
    size: int
    unpinned: tuple[str, ...]
    parts: int
    """Packages and wheels in the list of parts; 0 where there is no list."""
    channels: tuple[str, ...]
    providers: tuple[str, ...]
    checked: tuple[str, ...]
    """A sentence for everything that was checked."""
    signed_by: str = ""


def examine(folder: Path) -> Examined:
    """Everything but the signature. Raises :class:`~clawmates.wire.releases.ReleaseError` and ``OSError``."""
    try:
        release = decode_json(Release, (folder / signing.RELEASE_FILE).read_bytes())
    except ShapeError as error:
        raise ReleaseUnreadableError(f"{signing.RELEASE_FILE}: {error}") from None
    if release.format != FORMAT:
        raise ReleaseUnreadableError(f"{signing.RELEASE_FILE} has format {release.format}, this version reads {FORMAT}")
    return _examined(folder, release)


def verify(folder: Path, public: str, digest: str = "") -> Examined:
    """All of it, under one public key (Base64); ``digest`` is the image's that somebody saw run.

    Raises :class:`~clawmates.wire.releases.ReleaseError` and ``OSError``.
    """
    release = load(folder, public)
    found = _examined(folder, release)
    checked = (f"{signing.SIGNATURE_FILE} is this key's signature over {signing.RELEASE_FILE}", *found.checked)
    if digest:
        if digest not in {found.digest, found.config}:
            raise OtherDigestError(f"this release's image is {found.digest}, not {digest}")
        checked += (f"the image is {digest}",)
    return replace(found, checked=checked, signed_by=public)


def sign(folder: Path, private: Secret[bytes]) -> Examined:
    """Signs what :func:`examine` found sound, and puts the public key beside it. Raises the same."""
    found = examine(folder)
    key = Ed25519PrivateKey.from_private_bytes(private.reveal())
    signing.sign_file(folder, key)
    return verify(folder, signing.public_text(key), found.digest)


def _examined(folder: Path, release: Release) -> Examined:
    image = release.image
    check_archive(folder, image)
    checked = [f"{image.archive}: index, manifest, configuration and layers have the digests that the release names"]
    parts = 0
    if release.sbom is not None:
        listed = check_sbom(folder, release.sbom)
        parts = _parts(listed.read_bytes(), image.digest)
        checked.append(f"{release.sbom.file} has the digest that the release names, and is the list of this image")
    return Examined(
        number=release.number,
        digest=image.digest,
        config=image.config,
        size=image.size,
        unpinned=image.unpinned,
        parts=parts,
        channels=tuple(channel.kind.value for channel in release.channels),
        providers=tuple(provider.id for provider in release.providers),
        checked=tuple(checked),
    )


def _parts(document: bytes, digest: str) -> int:
    """How many parts a CycloneDX document lists; raises :class:`SbomMismatchError` when it is another image's."""
    try:
        listed = json.loads(document)
        hashes = [one["content"] for one in listed["metadata"]["component"]["hashes"]]
        if hashes != [digest.removeprefix("sha256:")]:
            raise SbomMismatchError("the list of parts is another image's")
        return len(listed["components"])
    except (ValueError, KeyError, TypeError):
        raise SbomMismatchError("the list of parts cannot be read") from None
