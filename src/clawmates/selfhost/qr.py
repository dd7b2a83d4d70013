"""A QR code for a terminal (ISO/IEC 18004), two modules a character.

Its colours are said in full, black on white: what a terminal calls its foreground and background says nothing about
which of them is dark, and a code with the two exchanged is one that many cameras do not read.
"""

from __future__ import annotations

INK = "\033[38;5;16;48;5;231m"
"""The 256-colour palette's own black and white, which themes do not repaint (unlike colours 0 to 15)."""
PLAIN = "\033[0m"
QUIET = 4
"""Light modules around it; the standard asks for four."""
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def qr_code(text: str) -> str:
    """Lines of half blocks in black on white."""
    import segno  # noqa: PLC0415 - 20 ms that only who is shown a code waits for

    rows = [[1 if dark else 0 for dark in row] for row in segno.make_qr(text, error="m").matrix_iter(border=QUIET)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    lines = ("".join(_HALVES[pair] for pair in zip(*rows[at : at + 2], strict=True)) for at in range(0, len(rows), 2))
    return "\n".join(f"{INK}{line}{PLAIN}" for line in lines)
