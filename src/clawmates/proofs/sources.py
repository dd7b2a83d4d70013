"""Bytes that can be searched: files and devices, a process's memory, a piece in RAM."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import stat
import sys
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLKFLSBUF = 0x1261
"""linux/fs.h: write out and forget what the kernel caches of a block device."""
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r..([ps]) ([0-9a-f]+) (\S+) (\d+)\s*(.*)")
_UNREADABLE_MAPS = {"[vvar]", "[vvar_vclock]", "[vsyscall]"}
"""The kernel's own pages; reading them fails."""
_PAGE = 4096
_PRESENT, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61
"""Of an entry of /proc/PID/pagemap (the kernel's own page, "Examining Process Page Tables")."""
_ENTRIES = 1 << 16
"""Read at once: those of 256 MiB."""

FilePage = tuple[str, int, int]
"""Device, inode and offset of a page that is as it stands in a file."""


class SourceError(Exception):
    """The bytes cannot be opened; the text is a short reason such as ``Permission denied``."""


class Source(Protocol):
    """Bytes at offsets, of which some stretches exist."""

    @property
    def unread(self) -> int:
        """Bytes so far that exist and could not be read."""
        ...

    def extents(self) -> Iterator[tuple[int, int]]:
        """(offset, length) of the stretches that hold anything."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes at ``offset``; empty where there are none or they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes in RAM."""

    data: bytes
    unread: int = 0

    def extents(self) -> Iterator[tuple[int, int]]:
        """The whole piece."""
        yield 0, len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        """A slice."""
        return self.data[offset : offset + size]


@dataclass(slots=True)
class OpenFile:
    """An open file or device; holes are passed over (lseek(2), SEEK_DATA)."""

    descriptor: int
    unread: int = 0
    """Bytes that the disk would not give."""

    def extents(self) -> Iterator[tuple[int, int]]:
        """Data between holes; one stretch where the file system does not know."""
        end = os.lseek(self.descriptor, 0, os.SEEK_END)
        at = 0
        while at < end:
            try:
                start = os.lseek(self.descriptor, at, os.SEEK_DATA)
                at = os.lseek(self.descriptor, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    yield at, end - at
                return
            yield start, at - start

    def read(self, offset: int, size: int) -> bytes:
        """pread(2); a bad block reads as zeros and is counted."""
        data, unread = _read(self.descriptor, offset, size)
        self.unread += unread
        return data


@dataclass(slots=True)
class Memory:
    """The readable memory of a running process (proc(5): /proc/PID/mem, /proc/PID/maps)."""

    descriptor: int
    maps: tuple[tuple[int, int], ...]
    unread: int = 0
    """Bytes of mappings that the kernel would not give."""

    def extents(self) -> Iterator[tuple[int, int]]:
        """Readable mappings; neighbours are joined, because text may span them."""
        yield from self.maps

    def within(self, start: int, length: int) -> Memory:
        """As much of it as lies in one stretch of addresses."""
        ends = ((max(start, at), min(start + length, at + size)) for at, size in self.maps)
        return Memory(self.descriptor, tuple((first, last - first) for first, last in ends if first < last))

    def read(self, offset: int, size: int) -> bytes:
        """pread(2) within one mapping; a page that fails reads as zeros and is counted."""
        index = bisect_right(self.maps, (offset, sys.maxsize)) - 1
        if index < 0:
            return b""
        start, length = self.maps[index]
        data, unread = _read(self.descriptor, offset, max(0, min(size, start + length - offset)))
        self.unread += unread
        return data


def _read(descriptor: int, offset: int, size: int) -> tuple[bytes, int]:
    """As many bytes as there are, and how many of them could not be read and stand as zeros."""
    data = bytearray()
    unread = 0
    while len(data) < size:
        at = offset + len(data)
        try:
            piece = os.pread(descriptor, size - len(data), at)
        except OSError:
            piece = bytes(min(size - len(data), _PAGE - at % _PAGE))
            unread += len(piece)
        if not piece:
            break
        data += piece
    return bytes(data), unread


@contextmanager
def open_file(path: Path, *, device: bool = False) -> Iterator[OpenFile]:
    """Opens a regular file, or with ``device`` a block device, without following a link.

    Raises :class:`SourceError`. A block device's cached pages are dropped first: they may be older than the disk.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise SourceError(os.strerror(error.errno or 0)) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or (device and stat.S_ISBLK(mode))):
            raise SourceError("not a regular file")
        if stat.S_ISBLK(mode):
            try:
                fcntl.ioctl(descriptor, BLKFLSBUF, 0)
            except OSError as error:
                raise SourceError(f"stale pages cannot be dropped: {os.strerror(error.errno or 0)}") from None
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A readable line of /proc/PID/maps; inode 0 is no file's."""

    start: int
    length: int
    shared: bool
    offset: int
    device: str
    inode: int

    def stretches(self, entries: Iterator[int], seen: set[FilePage]) -> Iterator[tuple[int, int]]:
        """(offset, length) of each page that holds something which ``seen`` does not name yet, and names it there.

        What a private mapping has not changed of a file is that file's page, the same for whoever maps it; what was
        never written to is zeros.
        """
        if self.shared:
            yield self.start, self.length
            return
        for at, entry in zip(range(0, self.length, _PAGE), entries, strict=False):
            if self.inode and (entry & _OF_FILE or not entry & (_PRESENT | _SWAPPED)):
                page = (self.device, self.inode, self.offset + at)
                if page in seen:
                    continue
                seen.add(page)
            elif not entry & (_PRESENT | _SWAPPED):
                continue
            yield self.start + at, _PAGE


@contextmanager
def open_memory(
    pid: int, proc: Path = Path("/proc"), seen: set[FilePage] | None = None, *, at: int | None = None
) -> Iterator[Memory]:
    """Opens a process's memory but for the pages of files that were ``seen`` in others; or one mapping, that of ``at``.

    Raises :class:`SourceError`; needs CAP_SYS_PTRACE for a hardened process.
    """
    here = proc / str(pid)
    try:
        mapped = parse_maps((here / "maps").read_text(errors="replace"))
        if at is not None:
            mapped = tuple(one for one in mapped if one.start <= at < one.start + one.length)
        named: set[FilePage] = set() if seen is None else seen
        with _pagemap(here) as pagemap:
            pages = joined(page for one in mapped for page in one.stretches(_entries(pagemap, one), named))
        descriptor = os.open(here / "mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(os.strerror(error.errno or 0)) from None
    try:
        yield Memory(descriptor, pages)
    finally:
        os.close(descriptor)


def parse_maps(text: str) -> tuple[Mapped, ...]:
    """The readable mappings in /proc/PID/maps."""
    found = (_MAP.fullmatch(line) for line in text.splitlines())
    return tuple(
        Mapped(
            start=int(one[1], 16),
            length=int(one[2], 16) - int(one[1], 16),
            shared=one[3] == "s",
            offset=int(one[4], 16),
            device=one[5],
            inode=int(one[6]),
        )
        for one in found
        if one is not None and one[7] not in _UNREADABLE_MAPS
    )


def joined(stretches: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Neighbours as one, because text may span them."""
    found: list[tuple[int, int]] = []
    for start, length in stretches:
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((start, length))
    return tuple(found)


@contextmanager
def _pagemap(here: Path) -> Iterator[int | None]:
    """``None`` where the kernel shows none."""
    try:
        descriptor = os.open(here / "pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entries(pagemap: int | None, one: Mapped) -> Iterator[int]:
    """Eight bytes a page; those that the kernel has no word on count as written to."""
    pages = one.length // _PAGE
    if pagemap is None:
        yield from repeat(_PRESENT, pages)
        return
    for at in range(0, pages, _ENTRIES):
        entries = array.array("Q")
        wanted = min(_ENTRIES, pages - at)
        entries.frombytes(os.pread(pagemap, 8 * wanted, 8 * (one.start // _PAGE + at)))
        yield from entries
        yield from repeat(_PRESENT, wanted - len(entries))
