from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.channels.telegram.split import LIMIT, split
from clawmates.mate.channels.telegram.styled import Span, Style, Styled, units
from clawmates.simulator.telegram.entities import read

FAMILY = "👨‍👩‍👧‍👦"


def texts(text: str, limit: int = LIMIT) -> list[str]:
    return [piece.text for piece in split(Styled(text), limit)]


@given(st.text(max_size=300), st.integers(min_value=4, max_value=40))
def test_every_piece_fits_and_can_be_seen(text: str, limit: int) -> None:
    assert all(0 < units(piece.text) <= limit and piece.visible for piece in split(Styled(text), limit))


@given(st.text(alphabet="ab \n.é日😀", max_size=300), st.integers(min_value=4, max_value=40))
def test_what_can_be_seen_is_all_there(text: str, limit: int) -> None:
    assert "".join("".join(texts(text, limit)).split()) == "".join(text.split())


def test_paragraphs_stay_whole_where_they_can() -> None:
    assert texts("one two\n\nthree four\n\nfive", 22) == ["one two\n\nthree four", "five"]


def test_a_character_outside_the_basic_plane_counts_twice_and_is_never_cut() -> None:
    assert units("😀") == 2
    assert texts("😀" * 5, 5) == ["😀😀", "😀😀", "😀"]


@pytest.mark.parametrize("one", [FAMILY, "🇩🇪", "👍🏽", "e\u0301\u0302", "1\ufe0f\u20e3", "नि", "한"])
def test_what_a_reader_sees_as_one_character_is_never_cut(one: str) -> None:
    limit = units(one) * 3 - 1
    pieces = texts(one * 10, limit)
    assert len(pieces) >= 5
    assert all(piece == one * (len(piece) // len(one)) for piece in pieces)


def test_a_character_longer_than_a_message_is_cut_all_the_same() -> None:
    pieces = texts("a" + "\u0301" * 10_000)
    assert sum(len(piece) for piece in pieces) == 10_001
    assert all(units(piece) <= LIMIT for piece in pieces)


def test_a_style_over_a_cut_is_closed_and_opened_again() -> None:
    pieces = split(Styled("aaaa bbbb", (Span(Style.BOLD, 2, 7),)), 5)
    assert [(piece.text, piece.spans) for piece in pieces] == [
        ("aaaa", (Span(Style.BOLD, 2, 4),)),
        ("bbbb", (Span(Style.BOLD, 0, 2),)),
    ]


def test_a_code_block_that_fits_is_never_cut() -> None:
    code = "x = 1\n\n" * 300
    pieces = split(render(f"{'word ' * 500}\n\n```python\n{code}```\nafter"))
    assert len(pieces) == 2
    assert "x = 1" not in pieces[0].text
    assert pieces[1].text.startswith(code.strip())
    assert pieces[1].spans[0] == Span(Style.PRE, 0, len(code.strip()), "python")


def test_a_paragraph_break_within_a_code_block_is_no_place_to_cut() -> None:
    code = "a\n\n" * 1000
    pieces = split(render(f"```\n{code}```\n{'b' * 3000}"))
    assert [piece.text for piece in pieces] == [code.strip(), "b" * 3000]


def test_a_code_block_that_does_not_fit_is_cut_at_lines_and_goes_on_as_code() -> None:
    code = "".join(f"    line {number}\n" for number in range(1000))
    pieces = split(render(f"```python\n{code}```"))
    assert len(pieces) > 2
    assert all(piece.spans == (Span(Style.PRE, 0, len(piece.text), "python"),) for piece in pieces)
    assert "\n".join(piece.text for piece in pieces) == code.rstrip()
    assert all(piece.text.startswith("    line") for piece in pieces)


def test_the_indentation_of_code_survives_a_cut_before_it() -> None:
    pieces = split(render(f"{'word ' * 800}\n```\n    indented\n{'y' * 200}\n```"))
    assert pieces[1].text.startswith("    indented")


def test_no_more_than_a_hundred_entities_in_a_piece() -> None:
    pieces = split(render("**a** b " * 450))
    assert len(pieces) == 5
    assert [len(piece.spans) for piece in pieces] == [100, 100, 100, 100, 50]


def test_pieces_that_nobody_could_see_are_left_out() -> None:
    assert texts("\u200b\u2060\u2800 \n" * 3000) == []
    assert texts("") == []


MARKS = st.sampled_from(
    [
        *"*_~`[]()!#>-|\\&<\n 1a😀\u0301\u200d\ud83d",
        *("**", "```", "\n\n", "\n| a | b |\n|---|---|\n", "](https://x.example/a)"),
        *("\n```python\n", "\n> ", "\n- ", "&amp;", "https://x.example/_a_"),
    ]
)


@given(st.lists(MARKS, max_size=120).map("".join), st.integers(min_value=8, max_value=60))
def test_telegram_takes_every_piece_of_whatever_a_model_writes(markdown: str, limit: int) -> None:
    for piece in split(render(markdown), limit):
        assert units(piece.text) <= limit
        read(piece.entities(), piece.text)
