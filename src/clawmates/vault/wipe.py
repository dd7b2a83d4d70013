"""Replacing a file so that its old content is gone, and not merely unlinked.

Old content is overwritten with zeros in place. During a replacement ``NAME.new`` is the next content and ``NAME.old``
a second name of the present one; a crash leaves at most these two, and :func:`clear_leftovers` ends what it cut short.
On copy-on-write file systems and SSDs the old blocks may live on out of reach (docs/vault.md).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ZEROS = bytes(64 * 1024)


def next_of(path: Path) -> Path:
    """Where the next content is written first."""
    return path.with_name(f"{path.name}.new")


def former_of(path: Path) -> Path:
    """The name that the old content keeps until it is overwritten."""
    return path.with_name(f"{path.name}.old")


def replace_wiped(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data`` (mode 0600) whole or not at all, and overwrites the old; raises ``OSError``."""
    clear_leftovers(path)
    write_next(path, data)
    put_next(path)


def write_next(path: Path, data: bytes) -> None:
    """Writes ``NAME.new``, on the disk when this returns; raises ``OSError`` and then leaves none."""
    fresh = next_of(path)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            wipe(fresh)
        raise
    sync_folder(path)


def put_next(path: Path) -> None:
    """Puts ``NAME.new`` in the place of ``path`` in one step, then overwrites what was there; raises ``OSError``."""
    former = former_of(path)
    clear_former(path)
    if path.exists():
        os.link(path, former)
    next_of(path).rename(path)
    sync_folder(path)
    if former.exists():
        wipe(former)


def clear_leftovers(path: Path) -> None:
    """Ends what a crash cut short, where ``NAME.new`` alone has no meaning; raises ``OSError``."""
    clear_former(path)
    if next_of(path).exists():
        wipe(next_of(path))


def clear_former(path: Path) -> None:
    """Overwrites ``NAME.old``; where it is but a second name of ``path``, only the name goes."""
    former = former_of(path)
    if not former.exists():
        return
    # Overwriting a second name would overwrite the very content that it shares.
    if path.exists() and former.samefile(path):
        former.unlink()
        sync_folder(path)
    else:
        wipe(former)


def wipe(path: Path) -> None:
    """Overwrites a file with zeros in place, then unlinks it; raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            overwrite(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync_folder(path)


def overwrite(descriptor: int) -> None:
    """Zeros over the whole length, on the disk when this returns."""
    left = os.fstat(descriptor).st_size
    while left > 0:
        left -= os.write(descriptor, _ZEROS[:left])
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Makes the names in ``path``'s folder durable."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
