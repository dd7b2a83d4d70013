"""Files that others replace by a rename: desired.json and the release, read again when they change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.identity import Mark, mark
from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.codes import Trouble
from clawmates.wire.desired import DesiredState
from clawmates.wire.releases import RELEASE_FILE, SIGNATURE_FILE, ReleaseError, ReleaseMissingError, load

if TYPE_CHECKING:
    from clawmates.wire.release import Release

MAX_BYTES = 16 << 20
_NEVER: Mark = ((-1, -1, -1),)


@dataclass(slots=True)
class DesiredFile:
    """``desired.json``."""

    path: Path
    _mark: Mark = _NEVER

    def look(self) -> DesiredState | Trouble | None:
        """What it says now; ``None`` when it has not changed since the last look."""
        fresh = mark(self.path)
        if fresh == self._mark:
            return None
        self._mark = fresh
        try:
            return decode_json(DesiredState, self.path.read_bytes(), MAX_BYTES)
        except (OSError, ShapeError):
            return Trouble.DESIRED_INVALID


@dataclass(slots=True)
class ReleaseFolder:
    """``release.json`` and ``release.sig``, believed only under the pinned key."""

    path: Path
    public_key: str
    _mark: Mark = _NEVER

    def look(self) -> Release | Trouble | None:
        """The release now; ``None`` when it has not changed since the last look."""
        fresh = mark(self.path / RELEASE_FILE, self.path / SIGNATURE_FILE)
        if fresh == self._mark:
            return None
        self._mark = fresh
        try:
            return load(self.path, self.public_key)
        except ReleaseMissingError:
            return Trouble.RELEASE_MISSING
        except ReleaseError:
            return Trouble.RELEASE_UNSIGNED
