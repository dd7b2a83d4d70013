from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.vault import tickets
from clawmates.vault.tickets import REMEMBERED, Grant, TicketBook
from clawmates.wire.names import ItemName
from clawmates.wire.vault import TICKET_SECONDS, VaultRefusal

GRANT = Grant("b1", "node-1", 7, ((ItemName.PROVIDER_KEY, 2),))


@pytest.fixture
def book() -> TicketBook:
    return TicketBook(os.urandom)


def test_a_ticket_opens_what_it_was_given_for(book: TicketBook) -> None:
    ticket = book.issue(GRANT, 0.0)
    assert book.redeem("b1", ticket, TICKET_SECONDS - 0.001) == GRANT


def test_a_second_use_is_told_apart_at_any_time(book: TicketBook) -> None:
    ticket = book.issue(GRANT, 0.0)
    book.redeem("b1", ticket, 1.0)
    assert book.redeem("b1", ticket, 2.0) is VaultRefusal.TICKET_REUSED
    assert book.redeem("b1", ticket, 10_000.0) is VaultRefusal.TICKET_REUSED


def test_a_book_that_forgets_to_mark_would_open_twice(book: TicketBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    monkeypatch.setattr(TicketBook, "_use", staticmethod(lambda entry, _now: entry.grant))
    ticket = book.issue(GRANT, 0.0)
    assert book.redeem("b1", ticket, 1.0) == book.redeem("b1", ticket, 2.0) == GRANT


def test_a_ticket_expires_after_a_minute(book: TicketBook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert book.redeem("b1", book.issue(GRANT, 0.0), TICKET_SECONDS) is VaultRefusal.TICKET_EXPIRED
    monkeypatch.setattr(tickets, "TICKET_SECONDS", TICKET_SECONDS + 1)  # the seeded defect
    assert book.redeem("b1", book.issue(GRANT, 0.0), TICKET_SECONDS) == GRANT


def test_another_bots_ticket_is_unknown_and_stays_good_for_its_own(book: TicketBook) -> None:
    ticket = book.issue(GRANT, 0.0)
    book.issue(Grant("b2", "node-1", 1, ()), 0.0)
    assert book.redeem("b2", ticket, 1.0) is VaultRefusal.TICKET_UNKNOWN
    assert book.redeem("b3", ticket, 1.0) is VaultRefusal.TICKET_UNKNOWN
    assert book.redeem("b1", ticket, 1.0) == GRANT


def test_the_right_number_with_a_wrong_secret_is_unknown(book: TicketBook, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = book.issue(GRANT, 0.0)
    forged = Secret(ticket.reveal().partition(".")[0] + "." + "A" * 32)
    assert book.redeem("b1", forged, 1.0) is VaultRefusal.TICKET_UNKNOWN
    monkeypatch.setattr(tickets, "compare_digest", lambda _one, _other: True)  # the seeded defect
    assert book.redeem("b1", forged, 1.0) == GRANT


@pytest.mark.parametrize("text", ["", "a", "." * 65])
def test_what_does_not_look_like_a_ticket_is_unknown(book: TicketBook, text: str) -> None:
    assert book.redeem("b1", Secret(text), 1.0) is VaultRefusal.TICKET_UNKNOWN


@given(st.text(max_size=70))
def test_no_text_is_a_ticket_by_chance(text: str) -> None:
    book = TicketBook(os.urandom)
    book.issue(GRANT, 0.0)
    assert book.redeem("b1", Secret(text), 1.0) is VaultRefusal.TICKET_UNKNOWN


def test_voided_tickets_say_why_and_used_ones_still_alarm(book: TicketBook) -> None:
    used, unused = book.issue(GRANT, 0.0), book.issue(GRANT, 0.0)
    book.redeem("b1", used, 1.0)
    book.void("b1", VaultRefusal.FROZEN)
    book.void("nobody", VaultRefusal.FROZEN)
    assert book.redeem("b1", unused, 2.0) is VaultRefusal.FROZEN
    assert book.redeem("b1", used, 2.0) is VaultRefusal.TICKET_REUSED


def test_a_new_generation_voids_unused_tickets_of_the_old_one_only(book: TicketBook) -> None:
    old, same = book.issue(GRANT, 0.0), Grant("b1", "node-1", 8, ())
    first, second = book.issue(same, 0.0), book.issue(same, 0.0)
    assert book.redeem("b1", old, 1.0) is VaultRefusal.TICKET_EXPIRED
    assert book.redeem("b1", first, 1.0) == book.redeem("b1", second, 1.0) == same


def test_a_destroyed_bots_tickets_are_forgotten(book: TicketBook) -> None:
    ticket = book.issue(GRANT, 0.0)
    book.forget("b1")
    book.forget("b1")
    assert book.redeem("b1", ticket, 1.0) is VaultRefusal.TICKET_UNKNOWN


def test_one_bot_cannot_fill_the_memory(book: TicketBook) -> None:
    given_out = [book.issue(GRANT, 0.0) for _ in range(REMEMBERED + 1)]
    assert book.redeem("b1", given_out[0], 1.0) is VaultRefusal.TICKET_UNKNOWN
    assert book.redeem("b1", given_out[1], 1.0) == GRANT


def test_the_book_holds_the_hash_and_never_the_ticket(book: TicketBook) -> None:
    ticket = book.issue(GRANT, 0.0).reveal()
    secret = ticket.partition(".")[2]
    (entry,) = book._entries["b1"]
    assert entry.proof == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(entry)


def test_tickets_come_from_the_given_randomness() -> None:
    assert TicketBook(lambda count: b"\xff" * count).issue(GRANT, 0.0).reveal() == "_" * 32 + "." + "_" * 32
