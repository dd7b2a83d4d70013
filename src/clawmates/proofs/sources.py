"""Bytes that can be searched: files and devices, a process's memory, a piece in RAM."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLKFLSBUF = 0x1261
"""linux/fs.h: write out and forget what the kernel caches of a block device."""
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r)... [0-9a-f]+ \S+ \d+\s*(.*)")
_UNREADABLE_MAPS = {"[vvar]", "[vvar_vclock]", "[vsyscall]"}
"""The kernel's own pages; reading them fails."""
_PAGE = 4096


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


@contextmanager
def open_memory(pid: int, proc: Path = Path("/proc")) -> Iterator[Memory]:
    """Opens a process's memory. Raises :class:`SourceError`; needs CAP_SYS_PTRACE for a hardened process."""
    try:
        maps = parse_maps((proc / str(pid) / "maps").read_text(errors="replace"))
        descriptor = os.open(proc / str(pid) / "mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(os.strerror(error.errno or 0)) from None
    try:
        yield Memory(descriptor, maps)
    finally:
        os.close(descriptor)


def parse_maps(text: str) -> tuple[tuple[int, int], ...]:
    """(offset, length) of each run of readable mappings in /proc/PID/maps."""
    joined: list[tuple[int, int]] = []
    for line in text.splitlines():
        found = _MAP.fullmatch(line)
        if found is None or found[4] in _UNREADABLE_MAPS:
            continue
        start, end = int(found[1], 16), int(found[2], 16)
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], end - joined[-1][0])
        else:
            joined.append((start, end - start))
    return tuple(joined)
