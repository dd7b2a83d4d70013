"""The image archive beside a signed release: the one that it names, or none.

An OCI image layout 1.0 in a tar, with one manifest; what signs the release is read by :mod:`clawmates.wire.releases`.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import IO, TYPE_CHECKING

from clawmates.wire.releases import ReleaseError, ReleaseMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.wire.release import Image, Sbom

_SMALL = 1 << 20
_CHUNK = 1 << 20


class ArchiveMismatchError(ReleaseError):
    """The image archive is not the one that the release names."""


class SbomMismatchError(ReleaseError):
    """The list of the image's parts is not the one that the release names."""


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


def check_sbom(directory: Path, sbom: Sbom) -> Path:
    """The path of the list of the image's parts, its digest computed anew. Raises :class:`ReleaseError`."""
    path = directory / sbom.file
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ReleaseMissingError(f"cannot read {path}: {error.strerror}") from None
    if f"sha256:{found}" != sbom.digest:
        raise SbomMismatchError(SbomMismatchError.__doc__)
    return path


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
