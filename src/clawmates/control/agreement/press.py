"""``python -I -m clawmates.control.agreement.press``: a document comes in as JSON, a PDF goes out; then it ends.

A child, because the library that prints takes 44 MiB and more than a second to load, which no web service should pay
for as long as it lives. Nothing is read or written but the two pipes and the fonts that lie beside.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from clawmates.base.hardening import harden
from clawmates.base.shape import decode_json
from clawmates.control.agreement.document import Block, Document, Kind

FONTS = Path(__file__).parent / "fonts"
FACE = "DejaVu"
SMALL, NORMAL, LARGE, TITLE = 8, 10, 12, 18
MARGIN = 22
LINE = 1.45
"""Of a line's height to its letters'."""
POINT = 25.4 / 72
"""Millimetres."""


class Sheet(FPDF):
    """A4, with the title and the page's number at its foot."""

    def __init__(self, wanted: Document) -> None:
        super().__init__(format="A4")
        self._wanted = wanted

    def footer(self) -> None:
        """On every page."""
        self.set_y(-15)
        self.set_font(FACE, size=SMALL)
        number = self._wanted.page_of.format(page=self.page_no(), pages="{nb}")
        self.cell(0, 5, f"{self._wanted.title} · {number}", align="C")


def printed(wanted: Document) -> bytes:
    """The PDF. Its clock is the document's, so the same document is the same bytes."""
    sheet = Sheet(wanted)
    sheet.set_margin(MARGIN)
    sheet.set_auto_page_break(auto=True, margin=MARGIN)
    sheet.add_font(FACE, "", FONTS / "DejaVuSans.ttf")
    sheet.add_font(FACE, "B", FONTS / "DejaVuSans-Bold.ttf")
    sheet.set_creation_date(datetime.fromisoformat(wanted.day).replace(tzinfo=UTC))
    sheet.set_title(wanted.title)
    sheet.set_lang(wanted.language)
    sheet.set_creator("clawmates")
    sheet.set_producer("clawmates")
    sheet.set_display_mode("default", "continuous")
    sheet.add_page()
    _text(sheet, wanted.title, TITLE, bold=True)
    for block in wanted.blocks:
        _set(sheet, block)
    return bytes(sheet.output())


def _set(sheet: FPDF, block: Block) -> None:
    match block.kind:
        case Kind.HEADING:
            sheet.ln(3)
            if sheet.will_page_break(25):
                sheet.add_page()
            sheet.start_section(block.text)
            _text(sheet, block.text, LARGE, bold=True)
        case Kind.TEXT:
            _text(sheet, block.text, NORMAL)
        case Kind.ITEM:
            _text(sheet, f"• {block.text}", NORMAL, indent=4)
        case Kind.TABLE:
            _table(sheet, block)
        case _:
            assert_never(block.kind)


def _text(sheet: FPDF, text: str, size: int, *, bold: bool = False, indent: float = 0) -> None:
    sheet.set_font(FACE, "B" if bold else "", size)
    sheet.set_x(sheet.l_margin + indent)
    sheet.multi_cell(0, size * POINT * LINE, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(size * POINT * 0.5)


def _table(sheet: FPDF, block: Block) -> None:
    sheet.set_font(FACE, size=SMALL)
    head = FontFace(emphasis="BOLD")
    with sheet.table(
        block.rows,
        col_widths=block.widths,
        text_align="LEFT",
        line_height=SMALL * POINT * LINE,
        padding=1,
        headings_style=head,
    ):
        pass
    sheet.ln(3)


def main() -> int:
    """Reads, prints, ends."""
    harden()
    wanted = decode_json(Document, sys.stdin.buffer.read())
    sys.stdout.buffer.write(printed(wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
