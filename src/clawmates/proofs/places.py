"""What is searched: a list of places, each giving one target after the other.

A place that cannot be looked at says so; nothing is passed over in silence.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clawmates.proofs.mounts import NOT_ENTERED, mounts
from clawmates.proofs.sources import FilePage, Piece, Source, SourceError, open_file, open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


OLD_FOLDERS = 64
"""Passed over one after the other; walking through so many takes some 10 ms."""


class Kind(StrEnum):
    """What sort of place it is; the order is that of the report."""

    STATE = "state folder"
    ENGINE = "engine storage"
    RUN = "run folder"
    DEVICE = "raw device"
    SWAP = "swap"
    TEMP = "temp folders"
    LOG = "logs"
    JOURNAL = "journal"
    CORE = "core dumps"
    REST = "rest of this host"
    CONTAINER = "container's writable folders"
    UNNAMED = "open files without a name"
    KERNEL = "kernel's log"
    MEMORY = "memory"
    ARGUMENTS = "arguments and environment"


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to search; ``open`` raises :class:`~clawmates.proofs.sources.SourceError`."""

    label: str
    open: Callable[[], AbstractContextManager[Source]]
    counted: bool = True
    """Whether it is a file, device or process; names and links are not."""


@dataclass(slots=True)
class Survey:
    """What all places of one search share."""

    since: float = 0.0
    """Seconds since the epoch, of the kernel's clock: no text looked for is older."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Reasons for which things were not looked at, and how often."""
    seen: set[tuple[int, int]] = field(default_factory=set)
    """(device, inode) of the files already searched: hard links and nested places cost once."""
    roots: set[tuple[int, int]] = field(default_factory=set)
    """Folders that are places of their own; other places do not descend into them."""
    pages: set[FilePage] = field(default_factory=set)
    """Pages of files already searched in some process's memory: a library that all have loaded costs once."""
    holders: frozenset[str] = frozenset()
    """Processes, by name, in whose memory something is expected: what is seen there was not looked for elsewhere."""


class Place(Protocol):
    """Somewhere text could have been left."""

    @property
    def kind(self) -> Kind:
        """What sort of place."""
        ...

    @property
    def label(self) -> str:
        """Which one."""
        ...

    def targets(self, survey: Survey) -> Iterator[Target]:
        """One target after the other; what cannot be looked at goes to ``survey.skipped``."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """All regular files below a folder, as raw bytes, their attributes, and the names of everything there.

    With ``only_new``, files and links unchanged since before the first canary are passed over, and so are the names in
    such a folder: they cannot hold it, because the inode change time cannot be set back without setting the clock
    back, and a new name changes that of its folder.
    """

    kind: Kind
    path: Path
    only_new: bool = False
    flat: bool = False
    """Without the folders below. It may lie within another place, so its few files are read for both."""

    @property
    def label(self) -> str:
        """The path."""
        return str(self.path)

    def targets(self, survey: Survey) -> Iterator[Target]:
        """Files in any order; links are not followed, pseudo file systems not entered."""
        closed = {mount.device: mount.kind for mount in mounts() if mount.kind.startswith(NOT_ENTERED)}
        old = survey.since if self.only_new else float("-inf")
        pending, number = [(str(self.path), float("inf"))], count(1)
        while pending:
            folder, changed = pending.pop()
            entries = self._listed(folder, survey)
            if entries is None:
                continue
            # Who drives the search gets a turn with each target: now and then there is one.
            if changed >= old or not next(number) % OLD_FOLDERS:
                names = b"\0".join(os.fsencode(entry.name) for entry in entries)
                yield Target(f"names in {folder}", partial(_piece, names), counted=False)
            passed = 0
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    if self._entered(found, closed, survey):
                        pending.append((entry.path, found.st_ctime))
                elif found.st_ctime < old:
                    passed += 1
                else:
                    yield from self._file(entry.path, found, survey)
            if passed:
                survey.skipped[f"{self.kind}: files unchanged since before the first canary"] += passed

    def _listed(self, folder: str, survey: Survey) -> list[os.DirEntry[str]] | None:
        try:
            with os.scandir(folder) as listing:
                return list(listing)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            survey.skipped[f"{self.kind}: folders not readable ({os.strerror(error.errno or 0)})"] += 1
            return None

    def _entered(self, found: os.stat_result, closed: Mapping[int, str], survey: Survey) -> bool:
        if self.flat or (found.st_dev, found.st_ino) in survey.roots:
            return False
        if found.st_dev in closed:
            survey.skipped[f"{self.kind}: {closed[found.st_dev]} mounts (they show what is stored elsewhere)"] += 1
            return False
        return True

    def _file(self, path: str, found: os.stat_result, survey: Survey) -> Iterator[Target]:
        identity = (found.st_dev, found.st_ino)
        if stat.S_ISLNK(found.st_mode):
            with suppress(OSError):
                yield Target(f"link {path}", partial(_piece, os.fsencode(Path(path).readlink())), counted=False)
        elif stat.S_ISREG(found.st_mode) and (self.flat or identity not in survey.seen):
            if not self.flat:
                survey.seen.add(identity)
            yield from _attributes(path)
            if found.st_size:
                yield Target(path, partial(open_file, Path(path)))


def _attributes(path: str) -> Iterator[Target]:
    """Extended attributes (xattr(7)) that a program may set; a file system without any says so by an error."""
    with suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            if not name.startswith("security."):
                data = os.fsencode(name) + b"\0" + os.getxattr(path, name, follow_symlinks=False)
                yield Target(f"an attribute of {path}", partial(_piece, data), counted=False)


@dataclass(frozen=True, slots=True)
class Disk:
    """The bytes of a device or disk image, deleted files and journals included."""

    kind: Kind
    path: Path
    label: str

    def targets(self, survey: Survey) -> Iterator[Target]:
        """The one target."""
        with suppress(OSError):
            found = self.path.stat()
            survey.seen.add((found.st_dev, found.st_ino))
        yield Target(self.label, partial(open_file, self.path, device=True))


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What a process has in RAM right now."""

    name: str
    pid: int
    kind: Kind = Kind.MEMORY

    @property
    def label(self) -> str:
        """Name and process id."""
        return f"{self.name} (process {self.pid})"

    def targets(self, survey: Survey) -> Iterator[Target]:
        """The one target; the searching process itself holds the canary and is never one."""
        if self.pid == os.getpid():
            survey.skipped["memory: the searching process itself, which holds the canary"] += 1
        else:
            seen = None if self.name.partition(" ")[0] in survey.holders else survey.pages
            yield Target(self.label, partial(open_memory, self.pid, seen=seen))


@dataclass(frozen=True, slots=True)
class Arguments:
    """Command line and environment of every process; both end up in listings and engines' state files."""

    proc: Path = Path("/proc")
    kind: Kind = Kind.ARGUMENTS
    label: str = "every process"

    def targets(self, survey: Survey) -> Iterator[Target]:
        """Two targets a process, other than this one."""
        for folder in self.proc.iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            for name in ("cmdline", "environ"):
                try:
                    data = (folder / name).read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                except OSError as error:
                    survey.skipped[f"{name} of processes ({os.strerror(error.errno or 0)})"] += 1
                    continue
                if data:
                    yield Target(f"{name} of process {folder.name}", partial(_piece, data))


@contextmanager
def _piece(data: bytes) -> Iterator[Source]:
    yield Piece(data)


__all__ = ["Arguments", "Disk", "Folder", "Kind", "Place", "ProcessMemory", "SourceError", "Survey", "Target"]
