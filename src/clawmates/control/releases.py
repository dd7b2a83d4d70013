"""The signed release as it lies in the state folder, read again when it changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawmates.base.identity import Mark, mark
from clawmates.wire.release import Release
from clawmates.wire.releases import RELEASE_FILE, SIGNATURE_FILE, ReleaseError, load


@dataclass(slots=True)
class SignedRelease:
    """``public_key`` is the pinned one; what it did not sign is no release."""

    folder: Path
    public_key: str
    _mark: Mark = ((-1, -1, -1),)
    _release: Release | None = None

    def __call__(self) -> Release | None:
        """The release now, or ``None`` where none can be believed."""
        fresh = mark(self.folder / RELEASE_FILE, self.folder / SIGNATURE_FILE)
        if fresh != self._mark:
            self._mark = fresh
            try:
                self._release = load(self.folder, self.public_key)
            except ReleaseError:
                self._release = None
        return self._release
