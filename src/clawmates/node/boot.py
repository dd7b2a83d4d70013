"""The boot folders: one a container, written whole, in RAM, readable by its user and nobody else outside root.

``<bot>/<generation>``: while one life of a bot follows another, each has trust and ticket of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.boot import AUTHORITY_FILE, BOOT_FILE, EXTRA_ROOTS_FILE, Boot
from clawmates.wire.names import ItemName

MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticketed:
    """What a container was last given a ticket for: node's own note in RAM, to survive node's restart."""

    generation: int
    items: Mapping[ItemName, int]
    written: int = 0
    """Bytes that it had written when it was read back."""
    lived: bool = False
    """It has said that it lives."""


@dataclass(frozen=True, slots=True)
class BootFolders:
    """``root`` holds the folders, ``notes`` node's own notes; both lie on a tmpfs."""

    root: Path
    notes: Path
    authority: bytes
    extra_roots: bytes | None

    def prepare(self, boot: Boot, gid: int) -> None:
        """Writes a container's folder, with trust and what ``boot`` says; only the life before it keeps its own."""
        for life in self.lives(boot.bot):
            if life != boot.predecessor:
                self.drop(boot.bot, life)
        folder = self.folder(boot.bot, boot.generation)
        folder.parent.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.parent.mkdir(mode=0o711, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, 0, gid)
        folder.chmod(0o750)
        write_atomic(folder / AUTHORITY_FILE, self.authority, mode=0o440, owner=(0, gid), sync=False)
        if self.extra_roots is None:
            (folder / EXTRA_ROOTS_FILE).unlink(missing_ok=True)
        else:
            write_atomic(folder / EXTRA_ROOTS_FILE, self.extra_roots, mode=0o440, owner=(0, gid), sync=False)
        self.write(boot, gid)

    def folder(self, bot: str, generation: int) -> Path:
        """What is mounted into that container."""
        return self.root / bot / str(generation)

    def write(self, boot: Boot, gid: int) -> None:
        """Replaces ``boot.json`` in one rename."""
        data = encode_json(boot.plain())
        path = self.folder(boot.bot, boot.generation) / BOOT_FILE
        write_atomic(path, data, mode=0o440, owner=(0, gid), sync=False)

    def read(self, bot: str, generation: int) -> Boot | None:
        """What lies in the folder now, if anything that can be read."""
        with suppress(OSError, ShapeError):
            return decode_json(Boot, (self.folder(bot, generation) / BOOT_FILE).read_bytes())
        return None

    def note(self, bot: str, ticketed: Ticketed) -> None:
        """Remembers what the container has a ticket for."""
        path = self._note(bot, ticketed.generation)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, encode_json(ticketed), sync=False)

    def noted(self, bot: str, generation: int) -> Ticketed | None:
        """What was remembered, if anything that can be read."""
        with suppress(OSError, ShapeError):
            return decode_json(Ticketed, self._note(bot, generation).read_bytes())
        return None

    def drop(self, bot: str, generation: int) -> None:
        """Forgets one life of a bot."""
        shutil.rmtree(self.folder(bot, generation), ignore_errors=True)
        self._note(bot, generation).unlink(missing_ok=True)

    def remove(self, bot: str) -> None:
        """Forgets a bot."""
        shutil.rmtree(self.root / bot, ignore_errors=True)
        shutil.rmtree(self.notes / bot, ignore_errors=True)

    def lives(self, bot: str) -> tuple[int, ...]:
        """The generations that have a folder or a note."""
        found = {entry.name for place in (self.root / bot, self.notes / bot) for entry in _entries(place)}
        numbers = {name.removesuffix(".json") for name in found}
        return tuple(sorted(int(name) for name in numbers if name.isdecimal()))

    def bots(self) -> tuple[str, ...]:
        """Whose folders are there."""
        return tuple(sorted(entry.name for entry in _entries(self.root) if entry.is_dir()))

    def _note(self, bot: str, generation: int) -> Path:
        return self.notes / bot / f"{generation}.json"


def _entries(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except OSError:
        return ()


def in_memory(path: Path, mountinfo: str) -> bool:
    """Whether ``path`` lies on a file system that never touches a disk (proc_pid_mountinfo(5))."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4])
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind in MEMORY_FILE_SYSTEMS
