"""Reads a release directory and believes nothing in it that the pinned key did not sign.

``release.json`` and ``release.sig`` as :mod:`clawmates.wire.release` defines them, beside them the OCI archive
(OCI image layout 1.0, one manifest). Signature: Ed25519 (RFC 8032).
"""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from typing import IO, TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.release import SIGNED_PREFIX, Image, Release

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
_SMALL = 1 << 20
_CHUNK = 1 << 20


class ReleaseError(Exception):
    """The release cannot be used."""


class ReleaseMissingError(ReleaseError):
    """There is no release, or a file of it is gone."""


class KeyNotPinnedError(ReleaseError):
    """The configuration names no key that signs releases."""


class NotSignedError(ReleaseError):
    """The release is not signed by the pinned key."""


class ReleaseUnreadableError(ReleaseError):
    """The release is signed but not of a format that this node knows."""


class ArchiveMismatchError(ReleaseError):
    """The image archive is not the one that the release names."""


def load(directory: Path, public_key: str) -> Release:
    """The release in ``directory``, signed by ``public_key`` (Base64); raises :class:`ReleaseError`.

    The image archive is not read; see :func:`check_archive`.
    """
    document = _read(directory / "release.json")
    signature = _read(directory / "release.sig")
    _check_signature(public_key, document, signature)
    try:
        release = decode_json(Release, document)
    except ShapeError as error:
        raise ReleaseUnreadableError(f"release.json: {error}") from None
    if release.format != FORMAT:
        raise ReleaseUnreadableError(f"release.json has format {release.format}, this node reads {FORMAT}")
    return release


def check_archive(directory: Path, image: Image) -> Path:
    """The path of the image's archive after every digest in it was computed anew: index → manifest → config, layers.

    Reads the whole file. Raises :class:`ReleaseError`.
    """
    path = directory / image.archive
    try:
        with tarfile.open(path, mode="r:") as tar:
            _check_members(tar, image)
    except FileNotFoundError:
        raise ReleaseMissingError(f"{path} is missing") from None
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError, IndexError):
        raise ArchiveMismatchError(f"{path} is not an OCI archive with one image") from None
    return path


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


def _check_members(tar: tarfile.TarFile, image: Image) -> None:
    (listed,) = json.loads(_blob(tar, "index.json"))["manifests"]
    if listed["digest"] != image.digest:
        raise ArchiveMismatchError("the archive's index names another manifest than the release")
    manifest = json.loads(_checked(tar, image.digest))
    if manifest["config"]["digest"] != image.config:
        raise ArchiveMismatchError("the manifest names another configuration than the release")
    config = json.loads(_checked(tar, image.config))
    size = 0
    layers = [layer["digest"] for layer in manifest["layers"]]
    for digest in layers:
        size += _stream(tar, digest)
    if config["rootfs"]["diff_ids"] != layers:
        raise ArchiveMismatchError("the configuration names other layers than the manifest, or they are compressed")
    if size != image.size:
        raise ArchiveMismatchError(f"the layers hold {size} bytes, the release says {image.size}")


def _checked(tar: tarfile.TarFile, digest: str) -> bytes:
    data = _blob(tar, f"blobs/{digest.replace(':', '/')}")
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise ArchiveMismatchError("a document in the archive does not have the digest it is filed under")
    return data


def _stream(tar: tarfile.TarFile, digest: str) -> int:
    """The size of one layer, its digest checked on the way."""
    stream = _open(tar, f"blobs/{digest.replace(':', '/')}")
    hasher, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise ArchiveMismatchError("a layer in the archive does not have the digest it is filed under")
    return size


def _blob(tar: tarfile.TarFile, name: str) -> bytes:
    data = _open(tar, name).read(_SMALL + 1)
    if len(data) > _SMALL:
        raise ArchiveMismatchError("a document in the archive is larger than 1 MiB")
    return data


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        raise ArchiveMismatchError("a document in the archive is not a plain file")
    return stream


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_SMALL)
    except OSError as error:
        raise ReleaseMissingError(f"cannot read {path}: {error.strerror}") from None
