"""Counts as a picture: bars in an SVG whose looks are the style sheet's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, STEP, BAR = 720, 96, 8, 6


@dataclass(frozen=True, slots=True)
class Chart:
    """``path`` is what an SVG's ``path`` element draws (SVG 2, section 9.3), in a picture of that size."""

    width: int
    height: int
    path: str


def chart(counts: Sequence[int]) -> Chart:
    """A bar a day, the tallest as tall as the picture; a day with any message is seen. No bar for a day without.

    One path, not one element a day: a page has ninety of them.
    """
    tallest = max(counts, default=0)
    path = ""
    for number, count in enumerate(counts):
        if count:
            height = round(max(2.0, HEIGHT * count / tallest), 1)
            path += f"M{number * STEP} {HEIGHT}v-{height:g}h{BAR}v{height:g}z"
    return Chart(WIDTH, HEIGHT, path)
