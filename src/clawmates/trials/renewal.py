"""Another release for a trial to go to: the same contents under a new number, in an image with digests of its own."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.selfhost import signing
from clawmates.wire.releases import load

if TYPE_CHECKING:
    from clawmates.wire.release import Release

CREATED = "2025-01-01T00:00:00Z"
INDEX = "index.json"


@dataclass(slots=True)
class Renewal:
    """Makes releases from the one that was ``built``, each newer than all before, signed with the checkout's own key.

    Only the image's date differs (OCI image specification 1.0, *config*): so manifest and configuration have other
    digests, and node must load another image and exchange every container.
    """

    built: Path
    folder: Path
    """Where they are put; each in a folder of its own below."""
    made: int = 0

    def next(self) -> Path:
        """A folder with a signed release. Raises ``OSError`` and the errors of signing and of releases."""
        known = load(self.built, (self.built / signing.PUBLIC_FILE).read_text().strip())
        self.made += 1
        number = known.number + self.made
        place = self.folder / f"release-{number}"
        place.mkdir(parents=True)
        digest, config, archive = redated(
            (self.built / known.image.archive).read_bytes(), f"{CREATED[:-3]}{number:02}Z"
        )
        (place / known.image.archive).write_bytes(archive)
        image = replace(known.image, digest=digest, config=config)
        # The list of parts names the digest of the image it was made for.
        fresh: Release = replace(known, number=number, image=image, sbom=None)
        signing.write(place, fresh, signing.key_at(self.built.parent / "release.key"))
        return place


def redated(archive: bytes, created: str) -> tuple[str, str, bytes]:
    """(manifest digest, config digest, archive) of an OCI archive of one image that says it is of another date."""
    blobs = _unpacked(archive)
    index = json.loads(blobs.pop(INDEX))
    (described,) = index["manifests"]
    manifest = json.loads(blobs.pop(_path(described["digest"])))
    config = json.loads(blobs.pop(_path(manifest["config"]["digest"])))
    config["created"] = created
    new_config = _json(config)
    manifest["config"] |= {"digest": _digest(new_config), "size": len(new_config)}
    new_manifest = _json(manifest)
    described |= {"digest": _digest(new_manifest), "size": len(new_manifest)}
    blobs[INDEX] = _json(index)
    blobs |= {_path(_digest(blob)): blob for blob in (new_config, new_manifest)}
    return _digest(new_manifest), _digest(new_config), _packed(blobs)


def _unpacked(archive: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if (stream := tar.extractfile(member)) is not None:
                found[member.name] = stream.read()
    return found


def _packed(blobs: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(blobs.items()):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
