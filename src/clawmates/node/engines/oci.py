"""An OCI archive as the folder that it is a tar of (OCI image layout 1.0)."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

from clawmates.node.engines.base import DiskFullError, ImageMissingError

if TYPE_CHECKING:
    from pathlib import Path

_MEMBER = re.compile(r"oci-layout|index\.json|blobs/sha256/[0-9a-f]{64}")


def unpack(archive: Path, folder: Path) -> str:
    """Files of a layout and nothing else; the config digest of its one image.

    Raises :class:`~clawmates.node.engines.base.EngineError`.
    """
    try:
        (folder / "blobs" / "sha256").mkdir(parents=True)
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() and _MEMBER.fullmatch(member.name) else None
                if stream is None:
                    raise ImageMissingError("not an OCI archive")
                with (folder / member.name).open("xb") as target:
                    shutil.copyfileobj(stream, target, 1 << 20)
        (manifest,) = json.loads((folder / "index.json").read_bytes())["manifests"]
        return str(json.loads(_blob(folder, str(manifest["digest"])))["config"]["digest"])
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError from None
        raise ImageMissingError("cannot be unpacked") from None
    except (tarfile.TarError, ValueError, KeyError, TypeError):
        raise ImageMissingError("not an OCI archive") from None


def _blob(folder: Path, digest: str) -> bytes:
    name = f"blobs/{digest.replace(':', '/')}"
    if not _MEMBER.fullmatch(name):
        raise ValueError("no digest")
    return (folder / name).read_bytes()
