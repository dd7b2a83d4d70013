from __future__ import annotations

import gzip
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawmates.proofs.search as module
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.claims.no_storage import ALWAYS
from clawmates.proofs.control import SearchBrokenError, check_encodings, check_memory, names
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.packings import MAGICS, PACKINGS
from clawmates.proofs.search import CONTROL, WINDOW, Found, Patterns, Step, search
from clawmates.proofs.sources import Piece

if TYPE_CHECKING:
    from clawmates.proofs.encodings import Encoding
    from clawmates.proofs.packings import Packing

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda one: one.name)
each_packing = pytest.mark.parametrize("packing", PACKINGS, ids=lambda one: one.name)


def hits(data: bytes, patterns: Patterns) -> list[Found]:
    return [event for event in search(Piece(data), patterns) if isinstance(event, Found)]


@each_encoding
def test_each_encoding_is_found_by_its_name_and_offset(encoding: Encoding, canary: Canary, patterns: Patterns) -> None:
    planted = encoding.plant(canary.mark)
    found = hits(os.urandom(1000) + planted + os.urandom(1000), patterns)
    assert [one.encoding for one in found] == [encoding.name]
    assert 1000 <= found[0].offset < 1000 + len(planted)


@each_encoding
def test_a_whole_message_is_found_in_each_encoding(encoding: Encoding, canary: Canary, patterns: Patterns) -> None:
    # The mark's offset within the message decides which Base64 alignment it is.
    for number in range(7):
        found = hits(encoding.plant(canary.message(number)), patterns)
        # Twice: its bare beginning too, of which not every encoding can be told.
        assert len(found) == 2
        assert encoding.name.rstrip("012") in {one.encoding.rstrip("012") for one in found}


@each_encoding
@each_packing
def test_each_encoding_is_found_inside_each_compression(
    encoding: Encoding, packing: Packing, canary: Canary, patterns: Patterns
) -> None:
    packed = packing.pack(b"before " + encoding.plant(canary.mark) + b" behind")
    found = hits(os.urandom(100) + packed + os.urandom(100), patterns)
    assert Found(f"{packing.name} > {encoding.name}", 100) in found


@each_packing
@pytest.mark.parametrize("outer", PACKINGS, ids=lambda one: one.name)
def test_compression_within_compression_is_opened(
    packing: Packing, outer: Packing, canary: Canary, patterns: Patterns
) -> None:
    inner = packing.pack(canary.mark.encode() + os.urandom(50))
    assert f"{outer.name} > {packing.name} > raw" in names(Piece(outer.pack(b"-" + inner)), patterns)


def test_a_third_level_is_not_opened_and_the_evidence_says_so(canary: Canary, patterns: Patterns) -> None:
    packed = [canary.mark.encode() * 20]
    for _ in range(3):
        packed.append(zlib.compress(packed[-1]))
    assert names(Piece(packed[2]), patterns) == {"zlib > zlib > raw"}
    assert names(Piece(packed[3]), patterns) == set()
    assert any("third level" in sentence for sentence in ALWAYS)


def test_noise_and_an_own_look_alike_are_not_found(patterns: Patterns) -> None:
    other = mint()
    data = os.urandom(WINDOW * 2) + b"".join(encoding.plant(other.mark) for encoding in ENCODINGS)
    assert hits(data, patterns) == []


@each_encoding
@pytest.mark.parametrize("before", [-300, -40, -1, 0, 1])
def test_what_lies_across_two_windows_is_found_once(
    encoding: Encoding, before: int, canary: Canary, patterns: Patterns
) -> None:
    data = bytearray(os.urandom(WINDOW + 4096))
    planted = encoding.plant(canary.mark)
    at = WINDOW + before
    data[at : at + len(planted)] = planted
    assert [one.encoding for one in hits(bytes(data), patterns)] == [encoding.name]


def test_without_the_overlap_what_lies_across_is_missed(canary: Canary, patterns: Patterns) -> None:
    data = bytearray(os.urandom(WINDOW + 4096))
    data[WINDOW - 5 : WINDOW - 5 + len(canary.stem)] = canary.stem.encode()
    weakened = Patterns(patterns.needles, reach=0)
    assert hits(bytes(data), weakened) == []
    assert hits(bytes(data), patterns) == [Found("raw", WINDOW - 5)]


@pytest.mark.parametrize("at", [0, WINDOW - 3, WINDOW - 1, WINDOW])
def test_a_stream_whose_magic_lies_across_two_windows_is_opened(at: int, canary: Canary, patterns: Patterns) -> None:
    packed = gzip.compress(canary.mark.encode())
    assert hits(os.urandom(at) + packed, patterns) == [Found("gzip > raw", at)]


@each_packing
def test_a_stream_longer_than_a_window_is_read_to_its_end(packing: Packing, canary: Canary, patterns: Patterns) -> None:
    long = os.urandom(WINDOW * 2) + bytes(WINDOW * 6) + canary.mark.encode() + bytes(1000)
    assert f"{packing.name} > raw" in names(Piece(packing.pack(long)), patterns)


@each_packing
def test_a_stream_cut_off_in_the_middle_still_gives_what_came_before(
    packing: Packing, canary: Canary, patterns: Patterns
) -> None:
    # bzip2 gives nothing before a whole block of 900 kB, so the noise behind the canary is longer than that.
    packed = packing.pack(canary.mark.encode() + os.urandom(2_000_000))
    assert f"{packing.name} > raw" in names(Piece(packed[: len(packed) * 3 // 4] + bytes(5000)), patterns)


def test_a_stream_beyond_the_limit_is_cut_and_counted(
    canary: Canary, patterns: Patterns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STREAM_LIMIT", 10_000)
    packed = gzip.compress(canary.mark.encode() + bytes(100_000) + canary.mark.encode())
    events = list(search(Piece(packed), patterns))
    assert Found("gzip > raw", 0) in events
    assert sum(event.cut for event in events if isinstance(event, Step)) == 1


def test_a_bomb_is_bounded(patterns: Patterns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_LIMIT", 1 << 20)
    bomb = zlib.compress(zlib.compress(bytes(64 << 20), 9), 9)
    steps = [event for event in search(Piece(bomb), patterns) if isinstance(event, Step)]
    assert sum(step.size for step in steps) < 2 << 20


def test_bytes_within_an_opened_stream_are_not_taken_for_new_streams(patterns: Patterns) -> None:
    packed = gzip.compress(os.urandom(200_000), compresslevel=1)
    opened = sum(event.streams for event in search(Piece(packed), patterns) if isinstance(event, Step))
    assert opened == 1


def test_a_zip_member_that_is_only_stored_is_found_raw(canary: Canary, patterns: Patterns) -> None:
    stored = b"PK\x03\x04" + bytes(4) + b"\0\0" + bytes(20) + canary.mark.encode()
    assert names(Piece(stored), patterns) == {"raw"}


@given(before=st.binary(max_size=700), behind=st.binary(max_size=700), which=st.integers(0, len(ENCODINGS) - 1))
def test_whatever_stands_around_it_the_canary_is_found(before: bytes, behind: bytes, which: int) -> None:
    canary = Canary("kQ7zJ2mXv9LpW4nBoT8r")
    encoding = ENCODINGS[which]
    assert encoding.name in names(Piece(before + encoding.plant(canary.mark) + behind), Patterns.of(canary))


@given(noise=st.binary(max_size=3000))
def test_nothing_is_found_in_what_does_not_hold_it(noise: bytes) -> None:
    canary = Canary("kQ7zJ2mXv9LpW4nBoT8r")
    assert names(Piece(noise), Patterns.of(canary)) == set()


def test_the_self_check_tries_every_encoding_bare_and_compressed(canary: Canary) -> None:
    assert check_encodings(canary) == len(ENCODINGS) * (1 + len(PACKINGS))


@each_encoding
def test_the_self_check_notices_a_search_that_lacks_an_encoding(
    encoding: Encoding, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tuple(one for one in ENCODINGS if one is not encoding)
    monkeypatch.setattr(module, "ENCODINGS", kept)
    with pytest.raises(SearchBrokenError):
        check_encodings(canary)


@each_packing
def test_the_self_check_notices_a_search_that_opens_one_kind_less(
    packing: Packing, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tuple((one, magic) for one, magic in MAGICS if one is not packing)
    monkeypatch.setattr(module, "MAGICS", kept)
    with pytest.raises(SearchBrokenError):
        check_encodings(canary)


def test_the_search_finds_the_canary_in_the_process_that_holds_it(canary: Canary, patterns: Patterns) -> None:
    check_memory(canary, patterns)
    blind = Patterns((), patterns.reach)
    with pytest.raises(SearchBrokenError):
        check_memory(canary, blind)


def test_the_control_text_goes_by_its_own_name(canary: Canary) -> None:
    control = mint()
    patterns = Patterns.of(canary, control)
    assert names(Piece(control.stem.encode() + b" " + canary.mark.encode()), patterns) == {CONTROL, "raw"}


def test_patterns_and_hits_do_not_print_the_canary(canary: Canary, patterns: Patterns) -> None:
    shown = f"{patterns!r} {hits(canary.mark.encode(), patterns)!r}"
    assert names(Piece(shown.encode()), patterns) == set()
    assert "raw" in shown
