from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.http.client import TooLargeError
from clawmates.mate.providers.sse import events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STREAM = b'event: a\ndata: {"one":1}\n\n: comment\r\ndata:two\r\ndata: lines\r\n\r\nid: 7\n\ndata: last'
WANTED = [b'{"one":1}', b"two\nlines"]


async def chunked(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


@given(st.lists(st.integers(min_value=0), max_size=20))
async def test_any_cutting_gives_the_same_events(cuts: list[int]) -> None:
    assert [event async for event in events(chunked(STREAM, cuts))] == WANTED


async def test_ten_megabytes_in_one_line_are_refused() -> None:
    stream = events(chunked(b"data: " + b"x" * (10 << 20), list(range(0, 10 << 20, 1 << 16))))
    with pytest.raises(TooLargeError):
        await anext(stream)
