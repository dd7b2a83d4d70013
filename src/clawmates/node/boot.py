"""The boot folders: written whole, in RAM, readable by one container's user and nobody else outside root."""

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


@dataclass(frozen=True, slots=True)
class BootFolders:
    """``root`` holds one folder a bot, ``notes`` node's own notes; both lie on a tmpfs."""

    root: Path
    notes: Path
    authority: bytes
    extra_roots: bytes | None

    def prepare(self, boot: Boot, gid: int) -> None:
        """Writes a bot's folder, with trust and what ``boot`` says; a note of an earlier ticket goes."""
        folder = self.root / boot.bot
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, 0, gid)
        folder.chmod(0o750)
        (self.notes / f"{boot.bot}.json").unlink(missing_ok=True)
        write_atomic(folder / AUTHORITY_FILE, self.authority, mode=0o440, owner=(0, gid), sync=False)
        if self.extra_roots is None:
            (folder / EXTRA_ROOTS_FILE).unlink(missing_ok=True)
        else:
            write_atomic(folder / EXTRA_ROOTS_FILE, self.extra_roots, mode=0o440, owner=(0, gid), sync=False)
        self.write(boot, gid)

    def write(self, boot: Boot, gid: int) -> None:
        """Replaces ``boot.json`` in one rename."""
        data = encode_json(boot.plain())
        write_atomic(self.root / boot.bot / BOOT_FILE, data, mode=0o440, owner=(0, gid), sync=False)

    def read(self, bot: str) -> Boot | None:
        """What lies in the folder now, if anything that can be read."""
        with suppress(OSError, ShapeError):
            return decode_json(Boot, (self.root / bot / BOOT_FILE).read_bytes())
        return None

    def note(self, bot: str, ticketed: Ticketed) -> None:
        """Remembers what the container has a ticket for."""
        self.notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self.notes / f"{bot}.json", encode_json(ticketed), sync=False)

    def noted(self, bot: str) -> Ticketed | None:
        """What was remembered, if anything that can be read."""
        with suppress(OSError, ShapeError):
            return decode_json(Ticketed, (self.notes / f"{bot}.json").read_bytes())
        return None

    def remove(self, bot: str) -> None:
        """Forgets a bot."""
        shutil.rmtree(self.root / bot, ignore_errors=True)
        (self.notes / f"{bot}.json").unlink(missing_ok=True)

    def bots(self) -> tuple[str, ...]:
        """Whose folders are there."""
        try:
            return tuple(sorted(entry.name for entry in self.root.iterdir() if entry.is_dir()))
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
