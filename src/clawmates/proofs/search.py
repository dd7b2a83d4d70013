"""Looks for a canary in bytes, in every encoding and inside compressed streams.

The search is a generator of steps and hits: whoever drives it decides how it is paced and when it stops. What it
finds it names by place, encoding and offset; the text itself is never carried along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.packings import MAGICS, Stream
from clawmates.proofs.sources import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.sources import Source

WINDOW = 1 << 20
CONTROL = "control text"
GONE = "text of a deleted file"
SECRET = "credential or prompt, "  # noqa: S105 - what it is called, not one
"""Before the encoding's name where that is what was found, and not a message."""
DEPTH = 2
"""A compressed stream within a compressed stream is opened; a third level is not."""
STREAM_LIMIT = 256 << 20
"""Bytes of output that one stream is read to; longer ones are counted as cut."""
CARRY = 64 << 10
"""Output kept from one piece of a stream to the next, so that a stream inside it is seen whole."""


@dataclass(frozen=True, slots=True)
class Found:
    """The canary stands here. ``encoding`` is its name, behind the compressions around it: ``gzip > raw``."""

    encoding: str
    offset: int


@dataclass(frozen=True, slots=True)
class Step:
    """So many bytes were looked at; ``cut`` streams among them were longer than :data:`STREAM_LIMIT`."""

    size: int = 0
    streams: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class _Needle:
    """One run of bytes to look for, and by what stands around it the names it may go by."""

    probe: bytes = field(repr=False)
    names: tuple[tuple[str, bytes, int], ...] = field(repr=False)
    """(name, marker, where the probe stands in the marker)."""

    def name(self, window: bytes, at: int) -> str:
        for name, marker, inside in self.names:
            start = at - inside
            if start >= 0 and window.startswith(marker, start):
                return name
        return self.names[0][0]


@dataclass(frozen=True, slots=True)
class Patterns:
    """A canary in all encodings, ready to be looked for."""

    needles: tuple[_Needle, ...] = field(repr=False)
    reach: int
    """How far a marker can extend on either side of a probe, in bytes."""

    @classmethod
    def of(
        cls,
        canary: Canary,
        control: Canary | None = None,
        secret: Canary | None = None,
        gone: Canary | None = None,
    ) -> Patterns:
        """Encodings that leave the stem alike share one needle: the search costs by needle, not by encoding.

        ``control`` is a text put where the search must find it; it goes by the name :data:`CONTROL`, and by
        :data:`GONE` another one whose file is there no more. ``secret`` stands in credentials and prompts, and goes by
        :data:`SECRET`.
        """
        needles: dict[bytes, list[tuple[str, bytes, int]]] = {}
        for name, text in (("", canary), *(((SECRET, secret),) if secret is not None else ())):
            for encoding in ENCODINGS:
                probe, marker = encoding.marker(text.stem), encoding.marker(text.mark)
                needles.setdefault(probe, []).append((name + encoding.name, marker, marker.index(probe)))
        for name, one in ((CONTROL, control), (GONE, gone)):
            if one is not None:
                raw = one.stem.encode()
                needles[raw] = [(name, raw, 0)]
        reach = max(len(marker) for names in needles.values() for _, marker, _ in names)
        return cls(tuple(_Needle(probe, tuple(names)) for probe, names in needles.items()), reach)


def search(source: Source, patterns: Patterns, depth: int = 0) -> Iterator[Found | Step]:
    """Every place of ``source`` where the canary stands, with a step at least for every :data:`WINDOW` bytes."""
    opened_to = 0
    for start, length in source.extents():
        end = start + length
        for at in range(start, end, WINDOW):
            base = max(start, at - patterns.reach)
            owned = min(at + WINDOW, end)
            window = source.read(base, min(owned + patterns.reach, end) - base)
            yield Step(owned - at)
            if window == bytes(len(window)):
                continue
            for encoding, offset in _needles(window, patterns, at - base, owned - base):
                yield Found(encoding, base + offset)
            if depth < DEPTH:
                for stream in _streams(source, window, at - base, owned - base, base):
                    if stream.start >= opened_to:
                        yield from _inside(stream, patterns, depth)
                        opened_to = max(opened_to, stream.end)


def _needles(window: bytes, patterns: Patterns, first: int, last: int) -> Iterator[tuple[str, int]]:
    """(name, offset) of each needle that begins in ``window[first:last]``."""
    for needle in patterns.needles:
        at = window.find(needle.probe, first, last + len(needle.probe) - 1)
        while at >= 0:
            yield needle.name(window, at), at
            at = window.find(needle.probe, at + 1, last + len(needle.probe) - 1)


def _streams(source: Source, window: bytes, first: int, last: int, base: int) -> list[Stream]:
    """The compressed streams that seem to begin in ``window[first:last]``, in order."""
    starts = [
        (found.start(), packing)
        for packing, magic in MAGICS
        for found in magic.finditer(window, first, min(last + 16, len(window)))
        if found.start() < last
    ]
    return [
        Stream(packing, source, base + at, STREAM_LIMIT) for at, packing in sorted(starts, key=lambda start: start[0])
    ]


def _inside(stream: Stream, patterns: Patterns, depth: int) -> Iterator[Found | Step]:
    """Looks inside one stream; each encoding is reported once, at the stream's own offset."""
    names: set[str] = set()
    size = 0
    for piece in _gathered(stream):
        size += len(piece)
        for event in search(Piece(piece), patterns, depth + 1):
            if isinstance(event, Found):
                names.add(event.encoding)
            elif event.streams:
                yield Step(0, event.streams, event.cut)
        yield Step()
    if stream.end or names:
        yield Step(size, 1, int(stream.cut))
    for name in sorted(names):
        yield Found(f"{stream.packing.name} > {name}", stream.start)


def _gathered(stream: Stream) -> Iterator[bytes]:
    """The stream's output in larger pieces that overlap by :data:`CARRY`."""
    gathered = bytearray()
    fresh = 0
    for piece in stream.pieces():
        gathered += piece
        fresh += len(piece)
        if fresh >= 4 * WINDOW:
            yield bytes(gathered)
            del gathered[:-CARRY]
            fresh = 0
    if fresh:
        yield bytes(gathered)
