"""What became of the messages of a soak: pure counting over what was said, what was sent, and when something died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SETTLING_SECONDS = 0.25
"""From a reply's arrival at the messenger to the end of its turn at the gateway, on a busy machine."""
TELLING_SECONDS = 4.0
"""From a gateway's death until its mates have told the next one which turns had ended."""
REDELIVERED_SECONDS = 120.0
"""How long an answered update may stand unconfirmed behind an older one that is still being answered."""


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

    So many may come twice: nobody alive knew that they had been sent. After a death of the gateway that is also so for
    what the mate had not yet told the next one.
    """
    return sum(any(_open(one.received, moment, kills) for moment in (*kills.mate, *kills.gateway)) for one in sent)


def _open(received: float, moment: float, kills: Kills) -> bool:
    if 0 <= moment - received <= SETTLING_SECONDS:
        return True
    untold = any(0 <= moment - death <= TELLING_SECONDS for death in kills.gateway)
    return moment in kills.mate and untold and 0 <= moment - received <= REDELIVERED_SECONDS
