"""A service's own certificate, as its client contexts use it: rebuilt when the files change, never half-renewed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.paths import State
from clawmates.base.tls import client_context

if TYPE_CHECKING:
    from pathlib import Path

Mark = tuple[tuple[int, int, int] | None, ...]


def mark(*paths: Path) -> Mark:
    """What changes whenever a file is replaced: (mtime in ns, inode, size), ``None`` for a missing one."""
    marks: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
            marks.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        except OSError:
            marks.append(None)
    return tuple(marks)


@dataclass(slots=True)
class ClientIdentity:
    """``service`` names the folder below ``pki/``.

    Key and certificate are two files, renewed one after the other: while they do not fit, the old pair is used.
    """

    state: State
    service: str
    _mark: Mark = ()
    _context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """For calls to others. Raises ``OSError`` (``ssl.SSLError`` is one) when there never was a good pair."""
        files = self.state.identity(self.service)
        fresh = mark(self.state.authority, *files)
        if self._context is None or fresh != self._mark:
            try:
                self._context = client_context(authority=self.state.authority, identity=files)
            except OSError:
                if self._context is None:
                    raise
            else:
                self._mark = fresh
        return self._context
