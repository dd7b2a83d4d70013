"""What became of the messages of a soak: pure counting over what was said, what was sent, and when something died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SETTLING_SECONDS = 0.1
"""From a reply's arrival at the messenger to the end of its turn at the gateway, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the bot sent, and when it arrived at the messenger (monotonic seconds)."""

    text: str
    received: float


@dataclass(frozen=True, slots=True)
class Kills:
    """When something was killed (monotonic seconds)."""

    mate: tuple[float, ...] = ()
    gateway: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one chat, or of all of them."""

    lost: int = 0
    """Messages without a reply of any kind."""
    apologised: int = 0
    """Messages that got a sentence of regret."""
    repeated: int = 0
    """Replies beyond the first."""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.lost + other.lost, self.apologised + other.apologised, self.repeated + other.repeated)


def outcome(said: Sequence[str], sent: Iterable[Sent]) -> Outcome:
    """Of one chat; an answer quotes the message that it answers, and whatever quotes none is a regret."""
    replies = [one.text for one in sent]
    answers = [sum(text in reply for reply in replies) for text in said]
    regrets = sum(not any(text in reply for text in said) for reply in replies)
    unanswered = sum(count == 0 for count in answers)
    return Outcome(
        lost=max(0, unanswered - regrets),
        apologised=min(regrets, unanswered),
        repeated=sum(max(0, count - 1) for count in answers) + max(0, regrets - unanswered),
    )


def unsettled(sent: Iterable[Sent], kills: Kills) -> int:
    """How many replies stood between their sending and the end of their turn when something was killed.

    So many may come twice: nobody alive knew that they had been sent.
    """
    moments = (*kills.mate, *kills.gateway)
    return sum(any(0 <= moment - one.received <= SETTLING_SECONDS for moment in moments) for one in sent)
