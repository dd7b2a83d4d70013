"""The one separate copy of ``keys.db``: replaced whole, so that it never holds a key that was destroyed.

Without it, losing ``keys.db`` loses everything; with several, a destroyed key would live on in the older ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawmates.vault.checks import StartError, require_private_file
from clawmates.vault.wipe import clear_leftovers, former_of, next_of, replace_wiped


class CopyError(Exception):
    """The separate copy of ``keys.db`` cannot be replaced."""


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """``path`` lies on another disk, in a folder of the vault's own; ``None`` where none is configured."""

    path: Path | None = None

    @classmethod
    def at(cls, setting: str) -> KeyCopy:
        """From ``[vault] keys_copy``; raises :class:`StartError` when it is open to others or not absolute."""
        if not setting:
            return cls()
        path = Path(setting)
        if not path.is_absolute():
            raise StartError("[vault] keys_copy is not an absolute path")
        for name in (path, next_of(path), former_of(path)):
            require_private_file(name)
        return cls(path)

    def clear(self) -> None:
        """Overwrites what a crash left beside the copy; raises :class:`CopyError`."""
        if self.path is None:
            return
        try:
            clear_leftovers(self.path)
        except OSError:
            raise CopyError from None

    def replace(self, image: bytes) -> None:
        """Puts ``image`` in its place and overwrites the old one; raises :class:`CopyError`."""
        if self.path is None:
            return
        try:
            replace_wiped(self.path, image)
        except OSError:
            raise CopyError from None
