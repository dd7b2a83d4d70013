from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.wire import pairing
from clawmates.wire.desired import MOST_PAIRINGS, BotSpec, Pairing
from clawmates.wire.names import ChannelKind

CODE = "ABCD2345"
ROUNDS = pairing.ROUNDS
ENDS = "2026-11-28T11:00:00Z"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "ROUNDS", 10)


def made(bot: str = "home", salt: str = "ab" * 32, code: str = CODE) -> Pairing:
    return Pairing(salt=salt, digest=pairing.digest(bot, salt, code), ends=ENDS)


@pytest.mark.parametrize("typed", [CODE, "abcd2345", "ABCD-2345", " abcd 2345 \n", "ab-cd-23-45"])
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert pairing.read(typed) == CODE


@pytest.mark.parametrize(
    "other", ["", "hello", "ABCD234", "ABCD23456", "ABCD2O45", "ABCD2I45", "ABCD 2345!", "ABCD2345 please", " " * 1000]
)
def test_and_anything_else_is_none(other: str) -> None:
    assert pairing.read(other) == ""


@given(st.text())
def test_whatever_is_typed_is_a_code_or_nothing(text: str) -> None:
    code = pairing.read(text)
    assert not code or (len(code) == pairing.LENGTH and set(code) <= set(pairing.ALPHABET))


def test_the_alphabet_has_forty_bits_and_nothing_that_looks_like_something_else() -> None:
    assert len(set(pairing.ALPHABET)) == 32
    assert not set(pairing.ALPHABET) & set("0O1I")


def test_a_code_finds_its_pairing_and_no_other_bots() -> None:
    others = tuple(made(salt=f"{number:064x}", code=f"WXYZ234{number + 5}") for number in range(2))
    assert pairing.find("home", CODE, (*others, made())) == made()
    assert pairing.find("home", "ABCD2346", (*others, made())) is None
    assert pairing.find("work", CODE, (made(),)) is None
    assert pairing.find("home", CODE, (replace(made(), salt="cd" * 32),)) is None
    assert pairing.find("home", CODE, ()) is None


def test_every_pairing_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(one: str, two: str) -> bool:
        compared.append(one)
        return one == two

    monkeypatch.setattr(pairing, "compare_digest", compare)
    pairing.find("home", CODE, (made(), made(salt="cd" * 32, code="WXYZ2345"), made(salt="ef" * 32, code="WXYZ2346")))
    assert len(compared) == 3


def test_the_hash_is_slow() -> None:
    assert ROUNDS >= 200_000


def test_a_pairing_ends() -> None:
    assert made().pends("2026-11-28T10:59:59Z")
    assert not made().pends(ENDS)
    for ends in ("2026-11-28T11:00:00+00:00", "2026-11-28", "soon", ENDS + "\n"):
        with pytest.raises(ValueError, match="form"):
            replace(made(), ends=ends)
    for part in ("", "ab" * 31, "AB" * 32):
        with pytest.raises(ValueError, match="hexadecimal"):
            replace(made(), salt=part)


def test_no_more_than_three_are_pending() -> None:
    def bot(count: int) -> BotSpec:
        return BotSpec(
            id="home",
            tenant="self",
            channel=ChannelKind.TELEGRAM,
            provider="openai",
            model="m",
            items={},
            pairings=(made(),) * count,
        )

    assert len(bot(MOST_PAIRINGS).pairings) == 3
    with pytest.raises(ValueError, match="pending"):
        bot(MOST_PAIRINGS + 1)
