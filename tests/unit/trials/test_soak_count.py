from __future__ import annotations

import pytest

from clawmates.trials.soak_count import SETTLING_SECONDS, Kills, Outcome, Sent, outcome, unsettled

SAID = ("message 1 end", "message 2 end")


def sent(*texts: str) -> list[Sent]:
    return [Sent(text, 0.0) for text in texts]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (("You said: message 1 end", "You said: message 2 end"), Outcome()),
        (("You said: message 1 end",), Outcome(lost=1)),
        ((), Outcome(lost=2)),
        (("You said: message 1 end", "Something went wrong."), Outcome(apologised=1)),
        (("message 1 end", "message 1 end", "message 2 end"), Outcome(repeated=1)),
        (("message 1 end", "message 2 end", "Something went wrong."), Outcome(repeated=1)),
        (("message 1 end", "message 1 end", "message 1 end"), Outcome(lost=1, repeated=2)),
    ],
)
def test_what_became_of_two_messages(replies: tuple[str, ...], expected: Outcome) -> None:
    assert outcome(SAID, sent(*replies)) == expected


def test_chats_add_up() -> None:
    assert Outcome(1, 2, 3) + Outcome(4, 5, 6) == Outcome(5, 7, 9)


@pytest.mark.parametrize("who", ["mate", "gateway"])
@pytest.mark.parametrize(
    ("after", "open_then"), [(0.0, 1), (SETTLING_SECONDS, 1), (SETTLING_SECONDS + 0.01, 0), (-0.01, 0)]
)
def test_a_reply_is_unsettled_for_a_moment(who: str, after: float, open_then: int) -> None:
    assert unsettled([Sent("answer", 100.0)], Kills(**{who: (100.0 + after,)})) == open_then


def test_each_reply_counts_once() -> None:
    assert unsettled([Sent("answer", 100.0)], Kills((100.05, 100.09), (100.02,))) == 1
