from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.vault import sessions
from clawmates.vault.sessions import BORN_INSIDE, PUT_SECONDS, PUTS, Holder, SessionBook
from clawmates.vault.tickets import Grant
from clawmates.wire.names import ItemName
from clawmates.wire.vault import VaultRefusal

GRANT = Grant("b1", "node-1", 7, ())
HOLDER = Holder("b1", "node-1")
PEOPLE = ItemName.PEOPLE


@pytest.fixture
def book() -> SessionBook:
    return SessionBook(os.urandom)


@pytest.mark.parametrize("name", list(ItemName))
def test_a_session_puts_what_is_born_inside_and_nothing_else(
    book: SessionBook, monkeypatch: pytest.MonkeyPatch, name: ItemName
) -> None:
    token = book.open(GRANT)
    expected = HOLDER if name in {ItemName.PEOPLE, ItemName.INGRESS_KEY} else VaultRefusal.NOT_ALLOWED
    assert book.use("b1", token, name, 0.0) == expected
    monkeypatch.setattr(sessions, "BORN_INSIDE", frozenset(ItemName))  # the seeded defect
    assert book.use("b1", token, name, 0.0) == HOLDER


def test_the_names_are_two() -> None:
    assert {ItemName.PEOPLE, ItemName.INGRESS_KEY} == BORN_INSIDE


def test_another_bots_session_or_a_guess_is_unknown(book: SessionBook, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, others = book.open(GRANT), book.open(Grant("b2", "node-1", 1, ()))
    assert book.use("b1", others, PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN
    assert book.use("b3", mine, PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN
    assert book.use("b1", mine, PEOPLE, 0.0) == HOLDER
    monkeypatch.setattr(sessions, "compare_digest", lambda _one, _other: True)  # the seeded defect
    assert book.use("b1", others, PEOPLE, 0.0) == HOLDER


@given(st.text(max_size=60))
def test_no_text_is_a_session_by_chance(text: str) -> None:
    book = SessionBook(os.urandom)
    book.open(GRANT)
    assert book.use("b1", Secret(text), PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN


def test_a_lone_surrogate_is_no_session_and_no_crash(book: SessionBook) -> None:
    book.open(GRANT)
    assert book.use("b1", Secret("\ud800"), PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN


def test_a_newer_life_ends_it_and_the_same_or_an_older_one_does_not(
    book: SessionBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = book.open(GRANT)
    for generation in (6, 7):
        book.supersede("b1", generation)
        assert book.use("b1", token, PEOPLE, 0.0) == HOLDER
    with monkeypatch.context() as patched:
        patched.setattr(SessionBook, "end", lambda _self, _bot: None)  # the seeded defect
        book.supersede("b1", 8)
        assert book.use("b1", token, PEOPLE, 0.0) == HOLDER
    book.supersede("b1", 8)
    book.supersede("b1", 9)
    assert book.use("b1", token, PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN


def test_a_new_session_ends_the_one_before(book: SessionBook) -> None:
    first, second = book.open(GRANT), book.open(GRANT)
    assert book.use("b1", first, PEOPLE, 0.0) is VaultRefusal.SESSION_UNKNOWN
    assert book.use("b1", second, PEOPLE, 0.0) == HOLDER


def test_one_mate_cannot_keep_the_vault_busy(book: SessionBook, monkeypatch: pytest.MonkeyPatch) -> None:
    token = book.open(GRANT)
    for number in range(PUTS):
        assert book.use("b1", token, PEOPLE, float(number)) == HOLDER
    assert book.use("b1", token, PEOPLE, PUT_SECONDS - 0.1) is VaultRefusal.TOO_MANY
    assert book.use("b1", token, PEOPLE, PUT_SECONDS) == HOLDER
    assert book.use("b1", token, PEOPLE, PUT_SECONDS) is VaultRefusal.TOO_MANY
    monkeypatch.setattr(sessions, "PUT_SECONDS", 0.0)  # the seeded defect
    assert book.use("b1", token, PEOPLE, PUT_SECONDS) == HOLDER


def test_the_book_holds_the_hash_and_never_the_token(book: SessionBook) -> None:
    token = book.open(GRANT).reveal()
    assert len(token) == 44
    assert token not in repr(book._sessions)
    book.end("b1")
    book.end("b1")
    assert book._sessions == {}
