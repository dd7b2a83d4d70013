from __future__ import annotations

import ctypes
import errno
import mmap
import os
from typing import TYPE_CHECKING

import pytest

from clawmates.proofs.sources import (
    FilePage,
    Memory,
    OpenFile,
    SourceError,
    joined,
    open_file,
    open_memory,
    parse_maps,
)

if TYPE_CHECKING:
    from pathlib import Path

MAPS = """\
00400000-00401000 r--p 00000000 fe:00 1 /usr/bin/python3
00401000-00402000 r-xp 00001000 fe:00 1 /usr/bin/python3
00402000-00403000 ---p 00002000 fe:00 1 /usr/bin/python3
00403000-00405000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000001000 rw-s 00000000 00:01 9 /memfd:a name with spaces (deleted)
7ffc00000000-7ffc00001000 r--p 00000000 00:00 0                          [vvar]
7ffc00001000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_readable_neighbours_are_joined_and_kernel_pages_left_out() -> None:
    assert joined((one.start, one.length) for one in parse_maps(MAPS)) == (
        (0x400000, 0x2000),
        (0x403000, 0x2000),
        (0x7F0000000000, 0x1000),
        (0x7FFC00001000, 0x1000),
    )


PAGE = mmap.PAGESIZE
KEPT = b"what this process holds"


def address(held: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(held))


def seen_of(pages: set[FilePage], *held: mmap.mmap) -> bytes:
    """What is read of them when this process is searched."""
    with open_memory(os.getpid(), seen=pages) as memory:
        here = [memory.within(address(one), len(one)) for one in held]
        return b"".join(one.read(start, length) for one in here for start, length in one.extents())


def test_of_what_was_never_written_to_nothing_is_read() -> None:
    with mmap.mmap(-1, 64 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        assert seen_of(set(), held) == b""
        held[7 * PAGE : 7 * PAGE + len(KEPT)] = KEPT
        assert seen_of(set(), held) == KEPT.ljust(PAGE, b"\0")


def test_a_files_pages_are_read_once_over_all_processes_and_changed_ones_always(tmp_path: Path) -> None:
    (tmp_path / "library").write_bytes(b"l" * 4 * PAGE)
    pages: set[FilePage] = set()
    with (
        (tmp_path / "library").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as one,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as other,
    ):
        other[2 * PAGE : 2 * PAGE + len(KEPT)] = KEPT
        first = seen_of(pages, one, other)
        assert (len(first), first.count(KEPT)) == (5 * PAGE, 1)
        assert seen_of(pages, one, other) == KEPT.ljust(PAGE, b"l")
        one[PAGE : PAGE + len(KEPT)] = KEPT
        assert seen_of(pages, one, other) == 2 * KEPT.ljust(PAGE, b"l")


def test_what_is_shared_is_read_every_time_and_so_is_all_where_the_kernel_shows_no_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").write_bytes(b"s" * PAGE)
    pages: set[FilePage] = set()
    with (tmp_path / "shared").open("r+b") as file, mmap.mmap(file.fileno(), 0) as held, mmap.mmap(-1, PAGE) as blank:
        assert seen_of(pages, held) == seen_of(pages, held) == b"s" * PAGE
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, flags: real("/nonexistent" if path.name == "pagemap" else path, flags)
        )
        assert seen_of(pages, blank) == bytes(PAGE)


def test_memory_is_read_within_its_mappings_only() -> None:
    with open_memory(os.getpid()) as memory:
        start, length = memory.maps[0]
        assert len(memory.read(start + length - 10, 100)) == 10
        assert memory.read(start + length - 10, 100)
        assert memory.read(1, 10) == b""
        assert memory.unread == 0


def test_pages_that_fail_read_as_zeros_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset <= 4096 < offset + size:
            if offset == 4096:
                raise OSError(errno.EIO, "bad page")
            size = 4096 - offset
        return real(descriptor, size, offset)

    path = tmp_path / "file"
    path.write_bytes(b"a" * 10_000)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "pread", failing)
        disk, memory = OpenFile(descriptor), Memory(descriptor, ((0, 10_000),))
        wanted = b"a" * 4096 + bytes(4096) + b"a" * (10_000 - 8192)
        assert disk.read(0, 10_000) == wanted
        assert memory.read(0, 10_000) == wanted
        assert (disk.unread, memory.unread) == (4096, 4096)
    finally:
        os.close(descriptor)


def test_a_link_or_a_pipe_in_a_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="symbolic"), open_file(tmp_path / "link"):
        pass
    with pytest.raises(SourceError, match="not a regular file"), open_file(tmp_path / "pipe"):
        pass


def test_a_process_that_is_gone_is_refused() -> None:
    with pytest.raises(SourceError), open_memory(1 << 30):
        pass


def test_holes_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as out:
        out.seek(1 << 30)
        out.write(b"x" * 4096)
        out.truncate(2 << 30)
    with open_file(path) as opened:
        extents = list(opened.extents())
        assert sum(length for _, length in extents) < 1 << 20
        assert any(start <= 1 << 30 < start + length for start, length in extents)


def test_a_file_system_that_knows_no_holes_gives_one_stretch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    real = os.lseek

    def ignorant(descriptor: int, position: int, how: int) -> int:
        if how == os.SEEK_DATA:
            raise OSError(errno.EINVAL, "no such thing")
        return real(descriptor, position, how)

    with open_file(path) as opened:
        monkeypatch.setattr(os, "lseek", ignorant)
        assert list(opened.extents()) == [(0, 5000)]
