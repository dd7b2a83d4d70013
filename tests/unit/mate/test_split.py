from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawmates.mate.channels.telegram.split import split, units


@given(st.text(max_size=300), st.integers(min_value=4, max_value=40))
def test_every_piece_fits_and_nothing_but_white_space_is_lost(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < units(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_paragraphs_stay_whole_where_they_can() -> None:
    assert split("one two\n\nthree four\n\nfive", 22) == ["one two\n\nthree four", "five"]


def test_a_character_outside_the_basic_plane_counts_twice_and_is_never_cut() -> None:
    assert units("😀") == 2
    assert split("😀" * 5, 5) == ["😀😀", "😀😀", "😀"]
