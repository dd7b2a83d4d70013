"""An OCI image written by hand, so that equal contents are equal bytes (OCI image format specification 1.0).

The layer is not compressed: its digest then depends on no compressor's version.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


class Kind(StrEnum):
    """What an entry of the root file system is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; everything belongs to root and nobody else may write."""

    kind: Kind
    data: bytes = b""
    """A file's bytes, or a symbolic link's target."""
    runs: bool = False
    """Whether a file is a program."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the container starts."""

    command: tuple[str, ...]
    user: str
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """An OCI archive, and what it is called."""

    data: bytes
    digest: str
    config: str
    size: int
    """Bytes of the uncompressed layer."""


def layer(root: Mapping[str, Entry], created: int) -> bytes:
    """The root file system as a POSIX ustar archive, sorted; keys are paths without the leading slash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, entry in sorted(with_folders(root).items()):
            info = tarfile.TarInfo(path)
            info.mtime = created
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            match entry.kind:
                case Kind.FOLDER:
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                case Kind.LINK:
                    info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.data.decode()
                case Kind.FILE:
                    info.mode, info.size = (0o755 if entry.runs else 0o644), len(entry.data)
            tar.addfile(info, io.BytesIO(entry.data) if entry.kind is Kind.FILE else None)
    return buffer.getvalue()


def with_folders(root: Mapping[str, Entry]) -> dict[str, Entry]:
    """``root`` and every folder above its entries."""
    whole = dict(root)
    for path in root:
        parent = path.rpartition("/")[0]
        while parent:
            whole.setdefault(parent, Entry(Kind.FOLDER))
            parent = parent.rpartition("/")[0]
    return whole


def archive(rootfs: bytes, start: Start, architecture: str, created: str) -> Archive:
    """The archive of a one-layer image; ``created`` is RFC 3339."""
    config = _json(
        {
            "architecture": architecture,
            "config": {
                "Cmd": list(start.command),
                "Env": list(start.environment),
                "User": start.user,
                "WorkingDir": "/",
            },
            "created": created,
            "history": [{"created": created, "created_by": "image/build"}],
            "os": "linux",
            "rootfs": {"diff_ids": [_digest(rootfs)], "type": "layers"},
        }
    )
    manifest = _json(
        {
            "config": _descriptor(config, _CONFIG),
            "layers": [_descriptor(rootfs, _LAYER)],
            "mediaType": _MANIFEST,
            "schemaVersion": 2,
        }
    )
    index = _json({"manifests": [_descriptor(manifest, _MANIFEST)], "mediaType": _INDEX, "schemaVersion": 2})
    files = [("index.json", index), ("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))]
    files += [(f"blobs/sha256/{_digest(blob)[7:]}", blob) for blob in (config, manifest, rootfs)]
    return Archive(_tar(sorted(files)), _digest(manifest), _digest(config), len(rootfs))


def _tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _descriptor(blob: bytes, kind: str) -> dict[str, object]:
    return {"digest": _digest(blob), "mediaType": kind, "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
