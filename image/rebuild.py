"""Builds once more, from nothing and elsewhere, and compares: ``image/build --check``.

Another folder (with a space in its name), empty caches, another umask, time zone and hour: everything that must not
show in the image is different.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING

from clawmates.base.shape import decode_json
from clawmates.node.release import check_archive, check_sbom
from clawmates.wire.release import Release

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUTS = ("image", "src", "requirements", "pyproject.toml")
UMASK = 0o077
ZONE = "Pacific/Kiritimati"
HOURS_LATER = 5
MOST_NAMED = 20


class RebuildError(Exception):
    """The image cannot be built once more."""


class Verdict(StrEnum):
    """What the comparison says."""

    SAME = "the same bytes"
    DIFFERENT = "other bytes"
    OUT_OF_REACH = "not comparable: the mirrors no longer give the packages that this release was made from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``differences`` names files of the image, and parts of the release document, that are not the same."""

    verdict: Verdict
    here: str
    rebuilt: str
    differences: tuple[str, ...] = ()
    unpinned: tuple[str, ...] = ()
    """What only other versions could be had of."""


@dataclass(frozen=True, slots=True)
class Made:
    """A release folder and what its document says."""

    folder: Path
    release: Release

    @classmethod
    def at(cls, folder: Path) -> Made:
        """Reads a release, every digest in it computed anew; who signed it is another question. ``ReleaseError``."""
        release = decode_json(Release, (folder / "release.json").read_bytes())
        check_archive(folder, release.image)
        if release.sbom is not None:
            check_sbom(folder, release.sbom)
        return cls(folder, release)


def check(root: Path, out: Path) -> Comparison:
    """Compares the release in ``out`` with one built from the checkout ``root``.

    Where the mirrors have lost a pinned version, two new builds must at least agree with each other: else
    :class:`RebuildError`, which also stands for a build that fails.
    """
    here = Made.at(out)
    with tempfile.TemporaryDirectory(prefix="clawmates rebuild ", dir="/var/tmp") as folder:
        made = again(root, Path(folder) / "first place", here.release.number)
        if made.release == here.release:
            return Comparison(verdict=Verdict.SAME, here=_digest(here), rebuilt=_digest(made))
        lost = tuple(sorted({*made.release.image.unpinned} ^ {*here.release.image.unpinned}))
        if lost:
            other = again(root, Path(folder) / "second", here.release.number)
            if other.release != made.release:
                raise RebuildError(f"two builds from nothing differ: {', '.join(differences(made, other))}")
        return Comparison(
            verdict=Verdict.OUT_OF_REACH if lost else Verdict.DIFFERENT,
            here=_digest(here),
            rebuilt=_digest(made),
            differences=differences(here, made),
            unpinned=lost,
        )


def again(root: Path, place: Path, number: int) -> Made:
    """One build below ``place``, from a copy of what it is made of. Raises :class:`RebuildError`."""
    copy_inputs(root, place)
    command = [sys.executable, str(place / "image" / "elsewhen.py"), str(HOURS_LATER * 3600)]
    command += [str(place / "image" / "build"), "--json", "--number", str(number)]
    environment = {
        **os.environ,
        "TZ": ZONE,
        "PIP_NO_CACHE_DIR": "1",
        # The copy builds itself, whatever package this interpreter would find otherwise.
        "PYTHONPATH": str(place / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(  # noqa: S603 - our own program
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, umask=UMASK, env=environment
    )
    if done.returncode:
        raise RebuildError(f"the second build failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return Made.at(Path(json.loads(done.stdout)["data"]["directory"]))


def copy_inputs(root: Path, place: Path) -> None:
    """Everything that makes the image and nothing that was built or fetched before."""
    for name in INPUTS:
        source, target = root / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)


def differences(one: Made, other: Made) -> tuple[str, ...]:
    """Names of what is not the same, at most :data:`MOST_NAMED`."""
    named = [
        field
        for field in ("channels", "providers", "sbom", "image")
        if getattr(one.release, field) != getattr(other.release, field)
    ]
    left, right = files(one), files(other)
    named += sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return (*named[:MOST_NAMED], *([f"and {len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []))


def files(made: Made) -> Mapping[str, str]:
    """Path in the image → a hash over its kind, mode, owner, time, target and bytes."""
    found: dict[str, str] = {}
    with tarfile.open(made.folder / made.release.image.archive, mode="r:") as outer:
        manifest = json.loads(_blob(outer, made.release.image.digest).read())
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=_blob(outer, layer["digest"])) as inner:
                for entry in inner:
                    about = (entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, entry.linkname)
                    hasher = hashlib.sha256(repr(about).encode())
                    if (stream := inner.extractfile(entry)) is not None and entry.isfile():
                        hasher.update(stream.read())
                    found[entry.name] = hasher.hexdigest()
    return found


def _blob(tar: tarfile.TarFile, digest: str) -> IO[bytes]:
    stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
    if stream is None:
        raise RebuildError("the archive holds no such blob")
    return stream


def _digest(made: Made) -> str:
    return made.release.image.digest
