from __future__ import annotations

import re

import pytest
import segno

from clawmates.selfhost.qr import QUIET, qr_code

LINK = "https://t.me/home_bot?start=kJ8Zt0Yw3q"
STYLE = re.compile(r"\x1b\[([0-9;]*)m")


def modules(shown: str) -> list[list[bool]]:
    """What a camera sees: for each half of a character whether it is dark, whatever the terminal's own colours are."""
    rows: list[list[bool]] = []
    for line in shown.splitlines():
        style, text, reset = re.fullmatch(r"(\x1b\[[0-9;]*m)([ ▀▄█]*)(\x1b\[0m)", line).groups()  # type: ignore[union-attr]
        assert reset
        assert STYLE.fullmatch(style)[1] == "38;5;16;48;5;231", "both colours are said, so no theme decides"  # type: ignore[index]
        rows.append([character in "▀█" for character in text])
        rows.append([character in "▄█" for character in text])
    return rows


@pytest.mark.parametrize("text", [LINK, "x", "https://t.me/" + "a" * 200])
def test_every_module_is_there_in_black_on_white_with_a_quiet_zone(text: str) -> None:
    wanted = [[bool(dark) for dark in row] for row in segno.make_qr(text, error="m").matrix]
    seen = modules(qr_code(text))
    size = len(wanted)
    inside = [row[QUIET : QUIET + size] for row in seen[QUIET : QUIET + size]]
    assert inside == wanted
    around = sum(map(sum, seen)) - sum(map(sum, inside))
    assert around == 0
    assert min(len(seen), len(seen[0])) >= size + 2 * QUIET


def test_it_fits_a_terminal_of_the_usual_size() -> None:
    lines = [STYLE.sub("", line) for line in qr_code(LINK).splitlines()]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
