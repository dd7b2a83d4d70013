"""A small disk of our own, so that all of it can be read raw afterwards."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 30
CLONE_NEWNS = 0x00020000
TEMP = Path("/tmp")  # noqa: S108 - it is covered, not used
LAYERS = "overlay"
AT_ONCE = 500


class NoDiskError(Exception):
    """No disk image can be mounted here: loop devices and root are needed."""


class Apart:
    """That this process has mounts of its own: who holds one may cover folders which the host needs."""

    def __init__(self) -> None:
        """Raises :class:`NoDiskError` where the mounts are those of the process that started this one."""
        mine, parents = (Path("/proc", str(one), "ns/mnt").readlink() for one in ("self", os.getppid()))
        if mine == parents:
            raise NoDiskError("the mounts are those of the whole host: mounts_apart() comes first")


def mounts_apart() -> Apart:
    """From now on what this process mounts is seen by itself and by what it starts; before any thread is there.

    Raises :class:`NoDiskError`.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise NoDiskError(NoDiskError.__doc__)
    _run("mount", "--make-rprivate", "/")
    return Apart()


@contextmanager
def temp_on(disk: Path, _apart: Apart) -> Iterator[None]:
    """Covers the folder for temporary files with one on ``disk``, so that it is read raw as well.

    Not where this program itself lies below that folder.
    """
    if any(Path(one).resolve().is_relative_to(TEMP) for one in (sys.prefix, __file__)):
        yield
        return
    fresh = disk / "tmp"
    fresh.mkdir()
    fresh.chmod(0o1777)
    _run("mount", "--bind", str(fresh), str(TEMP))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(TEMP))


def write_through(disk: Path) -> None:
    """From now on what is written there reaches the disk before the writer goes on (chattr(1), attribute S).

    So what is deleted at once can be found on it too. Files made later inherit it from their folders; the layers of
    images, which are many files of ours, do without. Raises :class:`NoDiskError`.
    """
    folders = []
    for folder, below, _ in os.walk(disk):
        below[:] = [one for one in below if one != LAYERS and not (Path(folder) / one).is_mount()]
        folders.append(folder)
    for at in range(0, len(folders), AT_ONCE):
        _run("chattr", "+S", *folders[at : at + AT_ONCE])


@contextmanager
def loop_disk(folder: Path) -> Iterator[Path]:
    """An ext4 file system in a sparse file, mounted; raises :class:`NoDiskError`."""
    image, point = folder / "disk.img", folder / "disk"
    with image.open("wb") as stream:
        stream.truncate(SIZE)
    point.mkdir()
    _run("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum", str(image))
    _run("mount", "-o", "loop", str(image), str(point))
    try:
        yield point
    finally:
        _run("umount", "--lazy", str(point))


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        raise NoDiskError(NoDiskError.__doc__) from None
