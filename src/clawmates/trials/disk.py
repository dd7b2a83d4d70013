"""A small disk of our own, so that all of it can be read raw afterwards."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 1 << 30


class NoDiskError(Exception):
    """No disk image can be mounted here: loop devices and root are needed."""


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
