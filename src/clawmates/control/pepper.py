"""The platform's own 32 bytes that key the hashes of addresses and networks: ``control/pepper``, 0600, made once.

All replicas of one database share the file; whoever lacks it could only not recognise an address that came before.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "pepper"
SIZE = 32


class PepperError(Exception):
    """The file cannot be used; the text says why and what to do."""


def read_pepper(folder: Path, random: Callable[[int], bytes]) -> Secret[bytes]:
    """What lies in ``folder``; made where there is none. Raises :class:`PepperError`."""
    path = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path, random(SIZE))
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PepperError(f"{path} is not a file of control's own, closed to others: chown it, and chmod 0600 it")
        value = path.read_bytes()
    except OSError as error:
        raise PepperError(f"cannot use {path}: {error.strerror}") from None
    if len(value) != SIZE:
        raise PepperError(f"{path} does not hold {SIZE} bytes: restore it from the backup")
    return Secret(value)


def _make(path: Path, value: bytes) -> None:
    """Whole or not there, and never in the place of another replica's: who comes second takes what is there."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    write_atomic(fresh, value, mode=0o600)
    try:
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
