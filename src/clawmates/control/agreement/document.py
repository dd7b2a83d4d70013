"""A document before it is printed: what goes to the child that prints it, and nothing of how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LETTERS = (
    *((0x20, 0x7E), (0xA0, 0x24F), (0x386, 0x38A), (0x38C, 0x38C), (0x38E, 0x3A1), (0x3A3, 0x3CE)),
    *((0x400, 0x45F), (0x490, 0x491), (0x1E9E, 0x1E9E), (0x2010, 0x2015), (0x2018, 0x201E), (0x2020, 0x2022)),
    *((0x2026, 0x2026), (0x2030, 0x2030), (0x2039, 0x203A), (0x20AC, 0x20AC), (0x2116, 0x2116), (0x2122, 0x2122)),
)
"""What the two fonts have, by code points: Latin, Greek and Cyrillic, and the usual marks.

They are DejaVu Sans 2.37 without all else and without hints (57 KiB each rather than 740; ``fonts/COPYRIGHT``).
"""


class Kind(StrEnum):
    """What a block is."""

    HEADING = "heading"
    TEXT = "text"
    ITEM = "item"
    TABLE = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of it, from top to bottom. ``rows`` are a table's, the first of which is its head."""

    kind: Kind
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    widths: tuple[int, ...] = ()
    """Of a table's columns, as shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that the printed file depends on: the same document is the same bytes, whenever it is printed."""

    language: str
    title: str
    day: str
    """``2026-11-30``: what the file says of when it was made."""
    page_of: str
    """``Page {page} of {pages}``."""
    blocks: tuple[Block, ...]


def printable(text: str) -> bool:
    """Whether the fonts have every letter of it."""
    return all(letter == "\n" or any(low <= ord(letter) <= high for low, high in LETTERS) for letter in text)
