"""Long replies in pieces that Telegram takes: at most 4096 UTF-16 code units and 100 entities each.

Styles are carried over: one that reaches over a cut is closed there and opened again in the next piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.mate.channels.telegram.styled import MOST_ENTITIES, Span, Style, Styled, units, within

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 4096
"""https://core.telegram.org/bots/api#sendmessage"""
_BREAKS = ("\n\n", "\n", ". ", " ")
_WHOLE = {Style.CODE, Style.PRE, Style.LINK}
_JOINER = "\u200d"
_FLAGS = ((0x1F1E6, 0x1F1FF),)
_CONTINUES = ((0x1160, 0x11FF), (0x200C, 0x200D), (0x20D0, 0x20FF), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F))
"""Vowels and ends of Korean syllables, joiners, keycaps, skin tones, tags; marks and accents are known otherwise."""


def split(whole: Styled, limit: int = LIMIT) -> list[Styled]:
    """Pieces of at most ``limit`` units (at least 2), cut at paragraphs, lines, sentences or words where there are any.

    Never within a code block that fits a piece, and never within what a reader sees as one character (a flag, an
    emoji with a skin tone, a letter with its accents). Nothing but white space at a cut is lost; a piece that nobody
    could see is left out.
    """
    return _Cutter(whole, limit).pieces()


class _Cutter:
    __slots__ = ("blocks", "limit", "passed", "whole")

    def __init__(self, whole: Styled, limit: int) -> None:
        self.whole = whole
        self.limit = limit
        self.blocks = [span for span in whole.spans if span.style in _WHOLE]
        """What is not to be cut, in order."""
        self.passed = 0
        """Spans that lie behind us, from the first on."""

    def pieces(self) -> list[Styled]:
        text = self.whole.text
        pieces = []
        start = 0
        while start < len(text):
            reach = self._reach(start)
            end = reach if reach == len(text) else self._cut(start, reach)
            piece = self._piece(start, start + len(text[start:end].rstrip()))
            if piece.visible:
                pieces.append(piece)
            start = self._next(end)
        return pieces

    def _reach(self, start: int) -> int:
        """The end of the longest piece that Telegram would take."""
        text = self.whole.text
        end = min(start + self.limit, len(text))
        while (more := units(text[start:end]) - self.limit) > 0:
            end -= (more + 1) // 2
        for count, span in enumerate(self._spans(start, end)):
            if count >= MOST_ENTITIES and span.start > start:
                return span.start
        return end

    def _piece(self, start: int, end: int) -> Styled:
        return Styled(self.whole.text, tuple(self._spans(start, end))).cut(start, end)

    def _spans(self, start: int, end: int) -> Iterator[Span]:
        """Those that have a part between the two; ``start`` never goes back."""
        spans = self.whole.spans
        while self.passed < len(spans) and spans[self.passed].end <= start:
            self.passed += 1
        for place in range(self.passed, len(spans)):
            if spans[place].start >= end:
                return
            if spans[place].end > start:
                yield spans[place]

    def _cut(self, start: int, reach: int) -> int:
        """Where the piece from ``start`` ends, at ``reach`` or before."""
        text = self.whole.text
        block = self._block_at(reach)
        if block is not None and block.start > start and text[start : block.start].strip() and self._fits(block):
            return block.start
        earliest = start + (reach - start) // 3
        for mark in _BREAKS:
            end = reach
            while (at := text.rfind(mark, earliest, end)) >= 0:
                end = at + len(mark)
                block = self._block_at(end)
                if block is None or not self._fits(block):
                    return end
                end = block.start
        return _between_characters(text, start, reach)

    def _fits(self, block: Span) -> bool:
        return units(self.whole.text[block.start : block.end]) <= self.limit

    def _block_at(self, place: int) -> Span | None:
        """The block that a cut at ``place`` would go through."""
        low, high = 0, len(self.blocks)
        while low < high:
            middle = (low + high) // 2
            if self.blocks[middle].end <= place:
                low = middle + 1
            else:
                high = middle
        found = self.blocks[low] if low < len(self.blocks) else None
        return found if found is not None and found.start < place else None

    def _next(self, end: int) -> int:
        """Where the next piece begins: behind white space, but for the indentation of code."""
        text = self.whole.text
        block = self._block_at(end)
        if block is not None and block.style is Style.PRE:
            return end + 1 if text.startswith("\n", end) else end
        while end < len(text) and text[end].isspace():
            end += 1
            block = self._block_at(end)
            if block is not None and block.style is Style.PRE:
                return end - 1
        return end


def _between_characters(text: str, start: int, place: int) -> int:
    """``place``, or the nearest one before it that is between two characters as a reader sees them."""
    at = place
    while at > start + 1 and _joined(text, at):
        at -= 1
    return at if not _joined(text, at) else place


def _joined(text: str, at: int) -> bool:
    """Whether a reader sees what lies on both sides as one (UAX 29, the parts that messages meet)."""
    if at >= len(text):
        return False
    before, behind = text[at - 1], text[at]
    if before == _JOINER or within(_CONTINUES, behind) or _is_mark(behind):
        return True
    if within(_FLAGS, behind) and within(_FLAGS, before):
        flags = at
        while flags > 0 and at - flags < LIMIT and within(_FLAGS, text[flags - 1]):
            flags -= 1
        return (at - flags) % 2 == 1
    return before == "\r" and behind == "\n"


def _is_mark(character: str) -> bool:
    """Marks may go on an identifier and not begin one (XID_Continue); digits may too, and are none."""
    return f"a{character}".isidentifier() and not character.isidentifier() and not character.isdecimal()
