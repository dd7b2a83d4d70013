"""Who was deleted, under a keyed hash of an id that was drawn: a file beside the database, which no backup puts back.

A database that is put back from before a deletion holds the account again. At the start, before anybody is served,
accounts that are in this list are deleted anew. The list is only added to; a line is 64 hexadecimal digits.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.secret import Secret

FILE = "erased"
_LINE = re.compile(r"[0-9a-f]{64}")


class TombstonesError(Exception):
    """The list cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """``path`` is made at the first look. All replicas share it, as they share the pepper."""

    path: Path
    pepper: Secret[bytes]

    def mark_of(self, account: str) -> str:
        """What stands there of an account."""
        return hmac.new(self.pepper.reveal(), f"tombstone\0{account}".encode(), "sha256").hexdigest()

    def add(self, account: str) -> None:
        """On the disk when this returns, once however often it is said. Raises ``OSError``."""
        mark = self.mark_of(account)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # another replica may be writing
            text = file.read()
            if mark.encode() not in text:
                # A line that a crash cut off is ended first: it is no mark of anybody's.
                file.write((b"" if not text or text.endswith(b"\n") else b"\n") + mark.encode() + b"\n")
                file.flush()
            os.fsync(descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def marks(self) -> frozenset[str]:
        """All of them; the list is made where there is none. Raises :class:`TombstonesError`."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(0o600)
            lines = self.path.read_text("ascii", errors="replace").split("\n")
        except OSError as error:
            raise TombstonesError(f"cannot read {self.path}: {error.strerror}") from None
        return frozenset(line for line in lines if _LINE.fullmatch(line))
