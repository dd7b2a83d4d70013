"""``node/heads.jsonl``: the vault's audit heads that node has countersigned, one a line, chained like the entries.

Small on purpose: a line is added only when the chain has grown, and the oldest go, because newer heads cover them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.files import write_atomic
from clawmates.base.shape import decode_json, encode_json
from clawmates.wire.audit import GENESIS, KEPT_WORDS, Head, Line, SignedHead, chained_line


class HeadsError(Exception):
    """The list of countersigned heads is damaged."""


@dataclass(slots=True)
class HeadsFile:
    """The open list. Errors are ``OSError``."""

    path: Path
    last: Line | None = None
    count: int = 0

    @classmethod
    def open(cls, path: Path) -> HeadsFile:
        """Reads the end of the list; raises :class:`HeadsError` when that cannot be understood."""
        try:
            raw = path.read_bytes().splitlines()
        except FileNotFoundError:
            return cls(path)
        if not raw:
            return cls(path)
        try:
            last = decode_json(Line, raw[-1])
            bytes.fromhex(last.hash)
            return cls(path, last, len(raw))
        except ValueError:
            raise HeadsError(HeadsError.__doc__) from None

    @property
    def head(self) -> Head:
        """The vault's head that was signed last; number 0 when there was none."""
        return self.last.said.head if self.last is not None else Head(number=0, hash=GENESIS.hex())

    def next(self, said: SignedHead) -> Line:
        """The line that would follow."""
        previous = bytes.fromhex(self.last.hash) if self.last is not None else GENESIS
        number = self.last.number + 1 if self.last is not None else 1
        return Line(number=number, said=said, hash=chained_line(previous, number, said).hex())

    def holds(self, head: Head) -> bool:
        """Whether that head stands here; the empty one, which every list begins with, does not count."""
        return bool(self.count and head.number) and head.hash.encode() in self.path.read_bytes()

    def anew(self) -> HeadsFile:
        """A new list. The old one goes, as old lines do: its last head stands in root's order, and so in the chain."""
        self.path.unlink()
        return HeadsFile(self.path)

    def add(self, line: Line) -> None:
        """Appends a line and waits for the disk."""
        if self.count >= 2 * KEPT_WORDS:
            rest = self.path.read_bytes().splitlines(keepends=True)[-KEPT_WORDS:]
            write_atomic(self.path, b"".join(rest))
            self.count = len(rest)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, encode_json(line) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.last, self.count = line, self.count + 1
