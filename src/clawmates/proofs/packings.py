"""Compressed streams: known by their magic numbers wherever they stand, opened within bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 4096
"""Input is fed in whole disk blocks, so a stream whose later blocks are gone still yields what came before."""
MEMORY_LIMIT = 128 << 20
"""What an xz stream may ask for; ``xz -9`` asks for 65 MiB."""


class Reader(Protocol):
    """Random access to bytes; short or empty past the end."""

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes at ``offset``."""
        ...


class Opener(Protocol):
    """What zlib, bz2 and lzma decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream came to its proper end."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Input behind that end."""
        ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """At most ``max_length`` bytes of output."""
        ...


@dataclass(frozen=True, slots=True)
class Packing:
    """One kind of compressed stream."""

    name: str
    pack: Callable[[bytes], bytes]
    """Makes one, for tests and for the search's check of itself."""
    magic: bytes
    """A regular expression with a literal first byte or more."""
    opener: Callable[[], Opener]
    payload: Callable[[bytes], int]
    """Where the stream begins, counted from the magic, given the first 64 bytes; -1 when it is none."""


def _at_magic(_head: bytes) -> int:
    return 0


def _in_zip(head: bytes) -> int:
    """A ZIP member's deflated bytes (APPNOTE 4.3.7: local file header); its name may be long, its extra field too."""
    if len(head) < 30 or head[8:10] != b"\x08\x00":
        return -1
    return 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")


def _zip(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", data)
    return packed.getvalue()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _xz(data: bytes) -> bytes:
    """Quickly: the usual preset takes 90 MiB of memory, and those who open it do not care."""
    return lzma.compress(data, preset=0)


PACKINGS: tuple[Packing, ...] = (
    Packing("gzip", _gzip, rb"\x1f\x8b\x08", lambda: zlib.decompressobj(31), _at_magic),
    Packing("zlib", zlib.compress, rb"x[\x01\x5e\x9c\xda]", zlib.decompressobj, _at_magic),
    Packing("bz2", bz2.compress, rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", bz2.BZ2Decompressor, _at_magic),
    Packing(
        "xz",
        _xz,
        rb"\xfd7zXZ\x00",
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT),
        _at_magic,
    ),
    Packing("zip", _zip, rb"PK\x03\x04", lambda: zlib.decompressobj(-15), _in_zip),
)
"""RFC 1952, RFC 1950, bzip2's and xz's own format pages, and PKWARE's APPNOTE."""

MAGICS: tuple[tuple[Packing, re.Pattern[bytes]], ...] = tuple(
    (packing, re.compile(packing.magic, re.DOTALL)) for packing in PACKINGS
)


@dataclass(slots=True)
class Stream:
    """One opened stream: iterate :meth:`pieces`, then ``end`` and ``cut`` tell how it ended."""

    packing: Packing
    reader: Reader
    start: int
    limit: int
    """Output bytes at most."""
    end: int = 0
    """Where the compressed bytes ended, when they ended properly; otherwise 0."""
    cut: bool = False
    """Whether there was more output than ``limit``."""

    def pieces(self) -> Iterator[bytes]:
        """The output, bit by bit, as far as it can be had: damage ends it without complaint."""
        at = self.packing.payload(self.reader.read(self.start, 64))
        if at < 0:
            return
        at += self.start
        opener = self.packing.opener()
        given = 0
        try:
            while block := self.reader.read(at, BLOCK - at % BLOCK):
                at += len(block)
                for piece in _drain(opener, block, self.limit - given + 1):
                    given += len(piece)
                    yield piece
                if opener.eof:
                    self.end = at - len(opener.unused_data)
                    return
                if given > self.limit:
                    self.cut = True
                    return
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            return


def _drain(opener: Opener, block: bytes, allowance: int) -> Iterator[bytes]:
    """All output that ``block`` gives, in pieces of at most 1 MiB."""
    pending = block
    while allowance > 0:
        most = min(allowance, 1 << 20)
        piece = opener.decompress(pending, most)
        allowance -= len(piece)
        if piece:
            yield piece
        # zlib hands back what it has not read yet; bz2 and lzma keep it to themselves.
        pending = getattr(opener, "unconsumed_tail", b"")
        if opener.eof or (not pending and len(piece) < most):
            return
