from __future__ import annotations

from itertools import count, pairwise

import pytest

from clawmates.proofs.canary import STEM_LENGTH, Canary, mint
from clawmates.proofs.encodings import ENCODINGS


def test_no_encoding_leaves_a_canary_as_it_is() -> None:
    canary = mint()
    raw = canary.mark.encode()
    changed = {encoding.name: encoding.plant(canary.mark) != raw for encoding in ENCODINGS}
    assert changed == {encoding.name: encoding.name != "raw" for encoding in ENCODINGS}


def test_all_encodings_differ_from_one_another() -> None:
    mark = mint().mark
    written = {encoding.plant(mark) for encoding in ENCODINGS}
    assert len(written) == len(ENCODINGS)


def test_messages_are_unique_and_share_the_mark() -> None:
    canary = mint()
    messages = [canary.message(number) for number in range(100)]
    assert len(set(messages)) == 100
    assert all(canary.mark in message for message in messages)
    assert len({message.encode().index(canary.mark.encode()) % 3 for message in messages}) == 3
    assert not any("\n" in message for message in messages)
    # A log line often keeps the first few words only.
    assert all(canary.stem in message[:STEM_LENGTH] for message in messages)


def test_two_canaries_are_never_alike() -> None:
    stems = [mint().stem for _ in range(200)]
    assert len(set(stems)) == 200
    assert all(len(stem) == STEM_LENGTH and stem.isalnum() and stem.isascii() for stem in stems)


def test_the_stem_is_drawn_evenly() -> None:
    drawn = "".join(mint().stem for _ in range(2000))
    shares = sorted(drawn.count(letter) / len(drawn) for letter in set(drawn))
    assert len(shares) == 62
    assert shares[0] > 0.7 / 62
    assert shares[-1] < 1.3 / 62


def test_a_stem_without_hex_letters_is_drawn_again() -> None:
    # '0'-'9' and 'a'-'i' have no letter among their hex digits, so upper and lower hex would look alike.
    plain, mixed = bytes([0] * 64), bytes([10] * 64)
    draws = iter([plain, mixed])
    assert mint(lambda _size: next(draws)).stem == "k" * STEM_LENGTH


def test_bytes_that_would_favour_some_letters_are_dropped() -> None:
    numbers = count()
    draws = iter([bytes([250] * 64), bytes([10] * 64)])

    def entropy(size: int) -> bytes:
        assert size == 64
        next(numbers)
        return next(draws)

    assert mint(entropy).stem == "k" * STEM_LENGTH
    assert next(numbers) == 2


def test_a_canary_does_not_print_itself() -> None:
    canary = mint()
    shown = f"{canary!r} {canary}"
    assert canary.stem not in shown
    assert shown.startswith("Canary(")


@pytest.mark.parametrize("first", range(5))
def test_offsets_move_from_message_to_message(first: int) -> None:
    canary = Canary("kQ7zJ2mXv9LpW4nBoT8r")
    offsets = [canary.message(number).index(canary.mark) for number in range(first, first + 7)]
    assert all(one != other for one, other in pairwise(offsets))
