"""The clear beginning of a backup's file, and how old a file in a folder of backups is: for who makes and who removes.

The first line is :data:`MAGIC` and the format's number, the second a :class:`Head`; both are associated data of all
that follows (:mod:`clawmates.selfhost.sealedfile`).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"clawmates-backup "
FORMAT = 1
MOST_HEAD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """For whom, the file's key sealed to them (Base64 of HPKE enc ‖ ciphertext), and when it was made (RFC 3339)."""

    to: str
    sealed: str
    made: str = ""


def aged(folder: Path, before: datetime, now: datetime) -> tuple[Path, ...]:
    """Everything in ``folder``, whatever it is called, that is not younger than ``before``, in the order of names.

    A copy or a new name makes nothing younger: the older counts of when the file says it was made and when it was
    written. A moment that is still to come is not believed. Folders inside are looked into; links are files. Raises
    ``OSError``.
    """
    found = []
    for place, _folders, names in os.walk(folder, onerror=_fail):
        for name in names:
            path = folder.__class__(place) / name
            told = [moment for moment in (_written(path), _made(path)) if moment is not None and moment <= now]
            if told and min(told) <= before:
                found.append(path)
    return tuple(sorted(found))


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except FileNotFoundError:
        return None  # somebody else has just removed it
    except (ValueError, OverflowError):
        return None


def _made(path: Path) -> datetime | None:
    """What the file says; ``None`` for one that says nothing, or that may not be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not stream.readline(64).startswith(MAGIC):
                return None
            moment = datetime.fromisoformat(decode_json(Head, stream.readline(MOST_HEAD), MOST_HEAD).made)
    except (OSError, ShapeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
