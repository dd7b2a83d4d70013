from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.shape import decode
from clawmates.gateway import chats, turns
from clawmates.gateway.bucket import Bucket
from clawmates.gateway.quota import Usage
from clawmates.gateway.turns import KEPT_SECONDS, KEY_BYTES, MAX_TURNS, Ledger
from clawmates.wire.desired import Limits
from clawmates.wire.door import TurnBegin, TurnEnd, Verdict

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import ManualClock

    from clawmates.base.clock import Clock

KEY = b"k" * KEY_BYTES
NUMBERS = itertools.count()
FREE = Limits()


def ledger(clock: Clock, per_minute: int = 100_000) -> Ledger:
    return Ledger(KEY, clock, per_minute)


def begin(book: Ledger, turn: str, limits: Limits = FREE) -> Verdict:
    return book.begin(TurnBegin(turn=turn), limits)


def end(book: Ledger, turn: str, tokens: int = 0) -> None:
    book.end(TurnEnd(turn=turn, input_tokens=tokens, output_tokens=2 * tokens))


class TestWay:
    def test_finished_turn_is_not_answered_again(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert begin(book, "1") is Verdict.GO
        end(book, "1")
        assert begin(book, "1") is Verdict.DONE
        assert begin(book, "2") is Verdict.GO

    def test_given_up_at_the_third_attempt(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert [begin(book, "1") for _ in range(5)] == [Verdict.GO, Verdict.GO, *[Verdict.GIVE_UP] * 3]
        end(book, "1")
        assert begin(book, "1") is Verdict.DONE

    def test_weakened_it_would_kill_the_mate_for_ever(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "MAX_ATTEMPTS", 1 << 30)
        book = ledger(clock)
        assert {begin(book, "1") for _ in range(50)} == {Verdict.GO}

    @pytest.mark.parametrize("weakened", [False, True])
    def test_a_mate_that_dies_between_its_reply_and_the_end(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, *, weakened: bool
    ) -> None:
        """It answers once more, for nobody knows that it has; it counts once, and sets tokens aside once."""
        book, limits = ledger(clock), Limits(messages_per_day=2, tokens_per_day=100)
        if weakened:
            monkeypatch.setattr(Ledger, "_hash", lambda _self, turn: turn.encode() + str(next(NUMBERS)).encode())
        assert book.begin(TurnBegin(turn="1", tokens=30), limits) is Verdict.GO
        # the reply is sent; SIGKILL; the messenger gives the message again, unconfirmed
        assert book.begin(TurnBegin(turn="1", tokens=30), limits) is Verdict.GO
        assert (book.turns, book.reserved) == ((2, 60) if weakened else (1, 30))
        end(book, "1", 10)
        if weakened:
            return
        assert (book.turns, book.reserved, book.running) == (1, 0, 0)
        assert begin(book, "1") is Verdict.DONE, "one that dies after the end is not heard twice"
        assert begin(book, "2", limits) is Verdict.GO

    def test_counts_once(self, clock: ManualClock) -> None:
        book = ledger(clock)
        begin(book, "1")
        begin(book, "1")
        end(book, "1", 10)
        end(book, "1", 10)
        assert (book.turns, book.input_tokens, book.output_tokens) == (1, 10, 20)

    def test_end_of_a_turn_begun_before_a_restart_counts(self, clock: ManualClock) -> None:
        book = ledger(clock)
        end(book, "1", 1)
        assert book.turns == 1
        assert begin(book, "1") is Verdict.DONE

    def test_running(self, clock: ManualClock) -> None:
        book = ledger(clock)
        begin(book, "1")
        begin(book, "2", Limits(messages_per_day=0))
        assert book.running == 1
        begin(book, "1")
        begin(book, "1")
        assert book.running == 0, "what was given up is not waited for"

    def test_ids_are_kept_only_as_keyed_hashes(self, clock: ManualClock) -> None:
        book, other = ledger(clock), Ledger(b"o" * KEY_BYTES, clock, 60)
        for one in (book, other):
            begin(one, "+15550123")
            end(one, "+15550123")
        assert "15550123" not in repr(book._ended)
        assert book._ended.keys().isdisjoint(other._ended.keys())

    def test_lone_surrogates_are_an_id_like_any_other(self, clock: ManualClock) -> None:
        assert begin(ledger(clock), "\ud800") is Verdict.GO


class TestChats:
    @staticmethod
    def talk(book: Ledger, turn: str, chat: str) -> bool:
        """Whether the chat was met before, and one more turn of it."""
        met = book.met(chat)
        book.begin(TurnBegin(turn=turn, chat=chat), FREE)
        end(book, turn)
        return met

    def test_met_once_a_turn_has_ended(self, clock: ManualClock) -> None:
        book = ledger(clock)
        book.begin(TurnBegin(turn="1", chat="a"), FREE)
        assert not book.met("a"), "nothing was answered yet"
        end(book, "1")
        assert book.met("a")
        assert not book.met("b")
        assert not book.met("")

    def test_a_turn_that_killed_a_mate_still_knows_its_chat(self, clock: ManualClock) -> None:
        book = ledger(clock)
        for _ in range(3):
            book.begin(TurnBegin(turn="1", chat="a"), FREE)
        end(book, "1")
        assert book.met("a")

    def test_for_a_day(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert not self.talk(book, "1", "a")
        clock.forward(chats.KEPT_SECONDS - 1)
        assert self.talk(book, "2", "a")
        clock.forward(chats.KEPT_SECONDS - 1)
        assert book.met("a"), "the last turn counts"
        clock.forward(2)
        assert not book.met("a")

    def test_bounded_the_longest_silent_give_way(self, clock: ManualClock) -> None:
        book = ledger(clock)
        self.talk(book, "first", "first")
        for number in range(chats.MAX_CHATS):
            self.talk(book, str(number), str(number))
            assert len(book._chats) <= chats.MAX_CHATS
        assert not book.met("first")
        assert book.met("0")

    def test_kept_only_as_keyed_hashes(self, clock: ManualClock) -> None:
        book, other = ledger(clock), Ledger(b"o" * KEY_BYTES, clock, 60)
        for one in (book, other):
            self.talk(one, "1", "name-of-a-chat")
        kept = book._chats._answered.keys()
        assert b"name-of-a-chat" not in kept
        assert kept.isdisjoint(other._chats._answered)

    def test_of_a_turn_without_a_chat_nothing_is_kept(self, clock: ManualClock) -> None:
        book = ledger(clock)
        self.talk(book, "1", "")
        assert len(book._chats) == 0


class TestForgetting:
    def test_after_a_day_and_an_hour(self, clock: ManualClock) -> None:
        book = ledger(clock)
        begin(book, "open")
        begin(book, "ended")
        end(book, "ended")
        clock.forward(KEPT_SECONDS - 1)
        assert begin(book, "ended") is Verdict.DONE
        clock.forward(2)
        assert begin(book, "ended") is Verdict.GO
        assert len(book) == 1

    def test_bounded_the_ended_first(self, clock: ManualClock) -> None:
        book = ledger(clock)
        begin(book, "open")
        for number in range(MAX_TURNS + 10):
            begin(book, str(number))
            end(book, str(number))
            assert len(book) <= MAX_TURNS
        assert begin(book, "0") is Verdict.GO
        assert begin(book, str(MAX_TURNS)) is Verdict.DONE
        assert begin(book, "open") is Verdict.GO
        assert begin(book, "open") is Verdict.GIVE_UP

    def test_bounded_with_nothing_ended(self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(turns, "MAX_TURNS", 500)
        book = ledger(clock)
        for number in range(510):
            begin(book, str(number))
        assert len(book) == 500


class TestQuota:
    def test_messages(self, clock: ManualClock) -> None:
        book, limits = ledger(clock), Limits(messages_per_day=2)
        assert [begin(book, turn, limits) for turn in "123"] == [Verdict.GO, Verdict.GO, Verdict.OVER]
        assert begin(book, "2", limits) is Verdict.GO, "it counted already"
        assert begin(book, "4", Limits(messages_per_day=3)) is Verdict.GO, "the weaker limit lets it through"
        clock.forward(86_400)
        assert begin(book, "3", limits) is Verdict.GO

    def test_messages_of_a_month(self, clock: ManualClock) -> None:
        book, limits = ledger(clock), Limits(messages_per_month=1)
        assert begin(book, "1", limits) is Verdict.GO
        clock.forward(86_400)
        assert begin(book, "2", limits) is Verdict.OVER
        clock.forward(10 * 86_400)
        assert clock.now().month == 12
        assert begin(book, "2", limits) is Verdict.GO

    @pytest.mark.parametrize("limits", [Limits(tokens_per_day=30), Limits(tokens_per_month=30)])
    def test_tokens(self, clock: ManualClock, limits: Limits) -> None:
        book = ledger(clock)
        assert begin(book, "1", limits) is Verdict.GO
        end(book, "1", 10)
        assert begin(book, "2", limits) is Verdict.OVER
        assert begin(book, "3") is Verdict.GO

    def test_over_is_not_counted_even_when_ended(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert begin(book, "1", Limits(messages_per_day=0)) is Verdict.OVER
        assert begin(book, "1", Limits(messages_per_day=0)) is Verdict.OVER
        end(book, "1")
        assert book.turns == 0
        assert begin(book, "1") is Verdict.DONE

    def test_turns_per_minute(self, clock: ManualClock) -> None:
        book = ledger(clock, per_minute=3)
        assert [begin(book, turn) for turn in "1234"] == [*[Verdict.GO] * 3, Verdict.OVER]
        clock.forward(20)
        assert begin(book, "4") is Verdict.GO

    @given(st.lists(st.integers(0, 86_400 * 40), max_size=30))
    def test_never_more_than_the_limit_in_a_day(self, steps: list[int]) -> None:
        now, usage, limits = (
            datetime(2026, 1, 1, tzinfo=UTC),
            Usage(datetime(2026, 1, 1, tzinfo=UTC)),
            Limits(messages_per_day=2),
        )
        granted: dict[int, int] = {}
        for step in steps:
            now += timedelta(seconds=step)
            if not usage.used_up(limits, now):
                usage.add(now, messages=1)
                granted[now.toordinal()] = granted.get(now.toordinal(), 0) + 1
        assert all(count <= 2 for count in granted.values())

    def test_clock_set_back_over_midnight_does_not_refill(self) -> None:
        midnight, limits = datetime(2026, 11, 23, tzinfo=UTC), Limits(messages_per_day=1)
        usage = Usage(midnight)
        usage.add(midnight, messages=1)
        assert usage.used_up(limits, midnight - timedelta(seconds=1))
        assert not usage.used_up(limits, midnight - timedelta(days=30)), "a clock that was years ahead heals"

    @pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
    def test_clock_that_jumps_forgets_no_turn(
        self, clock: ManualClock, jump: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def answered(book: Ledger) -> Verdict:
            begin(book, "1")
            end(book, "1")
            clock.moment += jump
            end(book, "2")
            return begin(book, "1")

        assert answered(ledger(clock)) is Verdict.DONE
        monkeypatch.setattr(type(clock), "monotonic", lambda self: self.moment.timestamp())  # the weakened build
        assert answered(ledger(clock)) is (Verdict.GO if jump > timedelta(0) else Verdict.DONE)


class TestBucket:
    def test_burst_then_rate(self) -> None:
        bucket = Bucket(2, 0.5, 0.0)
        assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
        assert [bucket.take(2.0), bucket.take(2.0)] == [True, False]
        assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]

    def test_time_never_runs_backwards(self) -> None:
        bucket = Bucket(1, 1, 100.0)
        assert bucket.take(100.0)
        assert not bucket.take(50.0)
        assert not bucket.take(100.5)


class TestReservation:
    """Tokens are set aside when a turn begins and settled when it ends."""

    LIMITS = Limits(tokens_per_day=100)

    def start(self, book: Ledger, turn: str, tokens: int = 0, most: int = 60) -> Verdict:
        return book.begin(TurnBegin(turn=turn, tokens=tokens), self.LIMITS, most)

    def test_turns_in_parallel_do_not_spend_the_same_tokens(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert [self.start(book, turn) for turn in "123"] == [Verdict.GO, Verdict.GO, Verdict.OVER]
        assert book.reserved == 120

    def test_weakened_without_reservation_all_of_them_begin(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Ledger, "reserved", 0)
        book = ledger(clock)
        assert {self.start(book, str(number)) for number in range(50)} == {Verdict.GO}

    def test_settled_at_the_end(self, clock: ManualClock) -> None:
        book = ledger(clock)
        for turn in "12":
            assert self.start(book, turn) is Verdict.GO
        end(book, "1", 5)
        assert book.reserved == 60
        assert self.start(book, "3") is Verdict.GO
        assert self.start(book, "4") is Verdict.OVER

    def test_the_mate_may_say_what_it_will_cost(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert self.start(book, "1", tokens=100) is Verdict.GO
        assert self.start(book, "2", tokens=1) is Verdict.OVER

    def test_second_attempt_is_not_set_aside_twice(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert [self.start(book, "1"), self.start(book, "1"), book.reserved] == [Verdict.GO, Verdict.GO, 60]

    def test_given_up_is_free_again(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert [self.start(book, "1") for _ in range(3)][-1] is Verdict.GIVE_UP
        assert book.reserved == 0

    def test_what_a_dead_mate_left_is_free_again(self, clock: ManualClock) -> None:
        book = ledger(clock)
        assert [self.start(book, turn) for turn in "12"] == [Verdict.GO, Verdict.GO]
        clock.forward(turns.RESERVED_SECONDS)
        assert book.reserved == 0
        assert self.start(book, "3") is Verdict.GO
        end(book, "1", 10)
        assert book.reserved == 60, "an end that comes late still counts what it cost"

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 60)), max_size=60))
    def test_never_over_by_more_than_the_last_turn(self, steps: list[tuple[bool, int, int]]) -> None:
        clock = Still()
        book = ledger(clock)
        begun: set[str] = set()
        for number, (starting, which, cost) in enumerate(steps):
            turn = f"{which}-{number}"
            if starting and self.start(book, turn) is Verdict.GO:
                begun.add(turn)
            elif not starting and begun:
                book.end(TurnEnd(turn=begun.pop(), output_tokens=cost))
        for turn in begun:
            book.end(TurnEnd(turn=turn, output_tokens=60))
        assert book.output_tokens < 100 + 60


class Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class TestTrial:
    @pytest.mark.parametrize("limits", [Limits(messages_trial=1), Limits(tokens_trial=30)])
    def test_is_not_refilled(self, clock: ManualClock, limits: Limits) -> None:
        book = ledger(clock)
        assert begin(book, "1", limits) is Verdict.GO
        end(book, "1", 10)
        clock.forward(86_400 * 40)
        assert begin(book, "2", limits) is Verdict.OVER
        assert begin(book, "3") is Verdict.GO

    def test_ends(self, clock: ManualClock) -> None:
        book, limits = ledger(clock), Limits(trial_ends="2026-11-22T10:00:00Z")
        assert begin(book, "1", limits) is Verdict.GO
        clock.forward(3600)
        assert begin(book, "2", limits) is Verdict.OVER
        assert begin(book, "1", limits) is Verdict.GO, "what had begun may end"
        assert begin(book, "3", Limits(trial_ends="2026-11-22T11:00:01+01:00")) is Verdict.GO

    @pytest.mark.parametrize("when", ["tomorrow", "2026-11-22T10:00:00", "2026-99-99T10:00:00Z", ""])
    def test_no_time_at_all(self, when: str) -> None:
        with pytest.raises(ValueError, match="trial_ends") as refused:
            Limits(trial_ends=when)
        assert not when or when not in str(refused.value)

    @pytest.mark.parametrize("name", ["messages_trial", "tokens_trial", "messages_per_day", "tokens_per_month"])
    def test_negative_quota(self, name: str) -> None:
        with pytest.raises(ValueError, match="not negative"):
            decode(Limits, {name: -1})

    def test_token_estimate_out_of_range(self) -> None:
        for tokens in (-1, 1 << 41):
            with pytest.raises(ValueError, match="out of range"):
                TurnBegin(turn="1", tokens=tokens)
