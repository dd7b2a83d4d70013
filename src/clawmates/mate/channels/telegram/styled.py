"""Text with its styles, and how Telegram wants to hear of them: entities with UTF-16 offsets.

Inside the mate styles are counted in characters; only :meth:`Styled.entities` turns them into UTF-16 code units.
https://core.telegram.org/bots/api#messageentity, https://core.telegram.org/bots/api#formatting-options
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ENTITIES = 100
"""Telegram takes no more in one message."""
_UNSEEN = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180E)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF)),
)
"""First and last code points of what takes part in a text and is not seen (Default_Ignorable_Code_Point, blanks)."""


class Style(StrEnum):
    """The entity types that a reply can have."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKETHROUGH = "strikethrough"
    CODE = "code"
    PRE = "pre"
    LINK = "text_link"
    QUOTE = "blockquote"


_OUTERMOST_FIRST = {Style.QUOTE: 0, Style.CODE: 2, Style.PRE: 2}


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to before ``end`` have a style; ``value`` is a link's address or a block's language."""

    style: Style
    start: int
    end: int
    value: str = ""


@dataclass(frozen=True, slots=True)
class Styled:
    """Plain text and the spans on it, outer ones before inner ones."""

    text: str
    spans: tuple[Span, ...] = ()

    def cut(self, start: int, end: int) -> Styled:
        """A piece of it: spans that reach over an edge end there and go on in the next piece."""
        spans = [
            replace(span, start=max(span.start, start) - start, end=min(span.end, end) - start)
            for span in self.spans
            if span.start < end and span.end > start
        ]
        return Styled(self.text[start:end], tuple(spans))

    @property
    def visible(self) -> bool:
        """Whether there is anything to see: Telegram refuses a message without."""
        return visible(self.text)

    def entities(self) -> list[dict[str, Any]]:
        """At most 100, as a call takes them."""
        spans = self.spans[:MOST_ENTITIES]
        at = _offsets(self.text, {edge for span in spans for edge in (span.start, span.end)})
        return [_entity(span, at[span.start], at[span.end]) for span in spans]


class Builder:
    """Puts a :class:`Styled` together from left to right."""

    __slots__ = ("_parts", "length", "spans")

    def __init__(self) -> None:
        self.length = 0
        self.spans: list[Span] = []
        self._parts: list[str] = []

    def add(self, piece: str | Styled) -> None:
        """Appends text; its own spans move along."""
        if isinstance(piece, Styled):
            self.spans += [
                replace(span, start=span.start + self.length, end=span.end + self.length) for span in piece.spans
            ]
            piece = piece.text
        self._parts.append(piece)
        self.length += len(piece)

    def mark(self, style: Style, start: int, value: str = "") -> None:
        """Everything since ``start`` has this style."""
        if start < self.length:
            self.spans.append(Span(style, start, self.length, value))

    def styled(self) -> Styled:
        """The whole, with spans in order and none that Telegram would refuse."""
        return Styled("".join(self._parts), tuple(_orderly(self.spans)))


def units(text: str) -> int:
    """UTF-16 code units, the unit in which Telegram counts (https://core.telegram.org/api/entities)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def visible(text: str) -> bool:
    """Whether there is anything but white space and characters that nobody sees."""
    return any(not character.isspace() and not within(_UNSEEN, character) for character in text)


def within(ranges: Sequence[tuple[int, int]], character: str) -> bool:
    """Whether a character is in one of the ranges. Not by a pattern: compiled, those cost a mate 200 KiB."""
    code = ord(character)
    return any(first <= code <= last for first, last in ranges)


def whole_characters(text: str) -> str:
    """Joins surrogate pairs that came apart and replaces halves that stand alone, which no encoder takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _orderly(spans: Sequence[Span]) -> list[Span]:
    """Nothing lies across code, and no style twice at one place ("Message entities can be nested")."""
    exclusive = [span for span in spans if span.style in {Style.CODE, Style.PRE}]
    if exclusive:
        exclusive.sort(key=lambda span: span.start)
        spans = [piece for span in spans for piece in _around(span, exclusive)]
    return sorted(dict.fromkeys(spans), key=lambda span: (span.start, -span.end, _OUTERMOST_FIRST.get(span.style, 1)))


def _around(span: Span, exclusive: Sequence[Span]) -> list[Span]:
    """The pieces of a span that lie beside the code in it; a quote may hold code, and a code is one piece."""
    if span.style in {Style.QUOTE, Style.CODE, Style.PRE}:
        return [span]
    pieces = []
    start = span.start
    for code in exclusive[_first_behind(exclusive, start) :]:
        if code.start >= span.end:
            break
        if code.start > start:
            pieces.append(replace(span, start=start, end=code.start))
        start = max(start, code.end)
    if start < span.end:
        pieces.append(replace(span, start=start))
    return pieces


def _first_behind(spans: Sequence[Span], place: int) -> int:
    """The index of the first span that ends behind ``place``; spans are in order and lie apart."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle].end <= place:
            low = middle + 1
        else:
            high = middle
    return low


def _offsets(text: str, places: set[int]) -> dict[int, int]:
    offsets = {}
    before = reached = 0
    for place in sorted(places):
        before += units(text[reached:place])
        reached = place
        offsets[place] = before
    return offsets


def _entity(span: Span, start: int, end: int) -> dict[str, Any]:
    entity: dict[str, Any] = {"type": span.style.value, "offset": start, "length": end - start}
    if span.style is Style.LINK:
        entity["url"] = span.value
    if span.style is Style.PRE and span.value:
        entity["language"] = span.value
    return entity
