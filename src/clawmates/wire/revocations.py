"""Which generation of a service's name still counts: ``pki/revoked/names.json``, looked at for every caller."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.hardening import place_of
from clawmates.wire.revoked import read_revoked

if TYPE_CHECKING:
    from clawmates.wire.names import ServiceName

Mark = tuple[int, int, int]


class RevocationsError(Exception):
    """The list cannot be read at the start; the text says what to do."""


@dataclass(slots=True)
class Revocations:
    """The list as it was last understood.

    A damaged one stops the start; later, the last good one stays in force, also when the list is gone: whoever can take
    it away must not bring a revoked certificate back.
    """

    path: Path
    _least: Mapping[str, int] = field(default_factory=dict)
    _mark: Mark | None = None

    def __post_init__(self) -> None:
        """Reads the list; raises :class:`RevocationsError`."""
        try:
            self._mark = self._look()
            self._least = read_revoked(self.path).least
        except (OSError, ValueError):
            raise RevocationsError(f"{self.path} cannot be read: restore it, for it says whom not to trust") from None

    def revoked(self, name: ServiceName) -> bool:
        """Whether this very certificate's generation was revoked."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            try:
                self._least = read_revoked(self.path).least if mark is not None else self._least
            except (OSError, ValueError) as error:
                sys.stderr.write(f"revocations not reloaded: {place_of(error)}\n")
        return name.generation < self._least.get(name.base, 0)

    def _look(self) -> Mark | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
