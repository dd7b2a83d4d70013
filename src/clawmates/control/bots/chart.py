"""Counts as a picture: bars in an SVG whose looks are the style sheet's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, STEP, BAR = 720, 96, 8, 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One day; numbers are units of the picture."""

    x: int
    y: float
    height: float


def bars(counts: Sequence[int]) -> list[Bar]:
    """A bar a day, the tallest as tall as the picture; a day with any message is seen. No bar for a day without."""
    tallest = max(counts, default=0)
    found = []
    for number, count in enumerate(counts):
        if count:
            height = round(max(2.0, HEIGHT * count / tallest), 1)
            found.append(Bar(number * STEP, round(HEIGHT - height, 1), height))
    return found
