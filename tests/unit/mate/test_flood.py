from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clawmates.mate.channels.telegram.flood import CHATS_KEPT, Flood

CHAT, GROUP = 7, -100


@dataclass
class Clock:
    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


def sent(flood: Flood, clock: Clock, chat: int, count: int) -> list[float]:
    """When ``count`` messages that are all there at once may go."""
    return [clock.time + flood.delay(chat) for _ in range(count)]


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(first <= moment < first + seconds - 1e-6 for moment in moments) for first in moments)


def test_a_chat_gets_a_short_burst_then_one_a_second() -> None:
    clock = Clock()
    moments = sent(Flood(clock), clock, CHAT, 10)
    assert moments[:3] == [1000.0] * 3
    assert [round(later - sooner, 6) for sooner, later in pairwise(moments[2:])] == [1.0] * 7


def test_a_group_gets_at_most_twenty_a_minute() -> None:
    clock = Clock()
    moments = sent(Flood(clock), clock, GROUP, 100)
    assert 15 < most_within(moments, 60) <= 20


def test_a_bot_says_at_most_thirty_a_second() -> None:
    clock = Clock()
    flood = Flood(clock)
    moments = [clock.time + flood.delay(chat) for chat in range(1, 200)]
    assert most_within(moments, 1) <= 30
    assert max(moments) < 1000 + 10


def test_edits_leave_room_for_the_message() -> None:
    clock = Clock()
    flood = Flood(clock)
    shown = 0
    for _ in range(600):
        shown += flood.preview(GROUP)
        clock.time += 0.1
    assert 15 < shown < 20
    assert flood.delay(GROUP) == 0


def test_drafts_come_once_a_second_and_take_no_message_s_place() -> None:
    clock = Clock()
    flood = Flood(clock)
    shown = 0
    for _ in range(100):
        shown += flood.draft(CHAT)
        clock.time += 0.1
    assert 10 <= shown <= 12
    assert sent(flood, clock, CHAT, 3) == [clock.time] * 3


def test_previews_of_many_chats_leave_room_for_messages() -> None:
    clock = Clock()
    flood = Flood(clock)
    shown = sum(flood.draft(chat) for chat in range(1, 100)) + sum(flood.preview(chat) for chat in range(1, 100))
    assert 1 <= shown < 10
    assert flood.delay(200) == 0


def test_only_the_latest_chats_are_remembered() -> None:
    clock = Clock()
    flood = Flood(clock)
    for chat in range(CHATS_KEPT * 2):
        clock.time += 1
        assert flood.delay(chat) == 0
    assert len(flood._chats) == CHATS_KEPT


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60))
def test_whatever_happens_a_chat_never_gets_more_than_its_pace(steps: list[tuple[float, bool]]) -> None:
    clock = Clock()
    flood = Flood(clock)
    moments = []
    for step, preview in steps:
        clock.time += step
        if preview and flood.preview(CHAT):
            moments.append(clock.time)
        elif not preview:
            clock.time += flood.delay(CHAT)
            moments.append(clock.time)
    for index, moment in enumerate(moments):
        assert sum(moment <= other < moment + 10 for other in moments[index:]) <= 13
