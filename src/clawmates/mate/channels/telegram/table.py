"""Markdown tables as text in columns, for a block in a fixed-width font."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.mate.channels.telegram.inline import inline
from clawmates.mate.channels.telegram.styled import within

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDEST = 60
"""Characters that a column is padded to at most: one long cell must not make every row as long."""
_CELL_END = re.compile(r"(?<!\\)\|")
_WIDE = (
    *((0x1100, 0x115F), (0x2E80, 0x303E), (0x3041, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFE30, 0xFE6F)),
    *((0xFF00, 0xFF60), (0xFFE0, 0xFFE6), (0x1F300, 0x1FAFF), (0x20000, 0x3FFFD)),
)
"""Code points that take two columns (UAX 11)."""
_NO_WIDTH = ((0x300, 0x36F), (0x200B, 0x200F), (0xFE00, 0xFE0F))


def is_rule(line: str) -> bool:
    """Whether this is the line of dashes below a table's head."""
    return "-" in line and "|" in line and not line.strip(" \t|:-")


def table(rows: Sequence[str]) -> str:
    """The rows, head first, in columns; a line of dashes below the head. Marks within cells are gone."""
    cells = [_cells(row) for row in rows]
    widths = [0] * max(len(row) for row in cells)
    for row in cells:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], min(_width(cell), WIDEST))
    lines = [_joined(row, widths) for row in cells]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(lines)


def _cells(row: str) -> list[str]:
    parts = _CELL_END.split(row.strip().removeprefix("|"))
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    return [" ".join(inline(part.strip().replace("\\|", "|")).text.split()) for part in parts]


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=False)]
    return " | ".join(padded).rstrip()


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + sum(within(_WIDE, one) - within(_NO_WIDTH, one) for one in text)
