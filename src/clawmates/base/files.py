"""Files written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Makes ``path`` hold ``data``; where it does already, nothing is written. Raises ``OSError``."""
    with suppress(FileNotFoundError):
        if path.read_bytes() == data and path.stat().st_mode & 0o7777 == mode:
            return
    write_atomic(path, data, mode=mode)


def write_atomic(
    path: Path, data: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None, sync: bool = True
) -> None:
    """Replaces ``path`` by ``data`` in one rename; ``owner`` is (uid, gid). Raises ``OSError``.

    ``sync`` waits for the disk; leave it out for files that live in RAM.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as stream:
                stream.write(data)
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.rename(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    if sync:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
