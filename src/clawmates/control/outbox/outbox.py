"""Putting an errand into the outbox, in the transaction that wants it, and what becomes of errands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from clawmates.control.outbox.tables import Errand
from clawmates.inventory import spans as kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

PERISHES = kept.ERRANDS
"""What cannot be said for so long is given up, where its handler says that it perishes."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Task:
    """One errand as a handler sees it. ``tries`` counts those before this one."""

    number: int
    lane: str
    kind: str
    body: str
    tries: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """It was said. ``note`` is for the handler's own :meth:`Handler.settle`."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """It was said in vain, and is said again: the lane waits. ``code`` is one of a closed list, never a text."""

    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was refused for good: the errand goes, and the lane goes on."""

    code: str


Outcome = Done | Later | Refused


class Handler(Protocol):
    """What is done for one kind of errand. Every step may be repeated: a replica can die between any two."""

    @property
    def perishes(self) -> bool:
        """Whether it is given up after :data:`PERISHES`; it is settled as ``Refused("expired")`` then."""
        ...

    async def do(self, task: Task) -> Outcome:
        """Says it, outside any transaction, in at most :data:`~clawmates.control.outbox.worker.DO_SECONDS`."""
        ...

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Writes down what came of it, in the transaction that removes the errand."""
        ...


async def add(
    session: AsyncSession, lane: str, kind: str, body: str, *, now: datetime, wait: timedelta = timedelta()
) -> None:
    """One more errand, done after those of its lane that came before. Of a secret, ``body`` holds ciphertext only."""
    session.add(Errand(lane=lane, kind=kind, body=body, tries=0, trouble="", due_at=now + wait, made_at=now))
    await session.flush()


def pause(tries: int, random: Callable[[int], bytes]) -> timedelta:
    """How long to wait after so many tries in vain: doubled each time up to a minute, half of it at random."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 16))
    share = int.from_bytes(random(2), "big") / 0xFFFF
    return timedelta(seconds=longest * (0.5 + share / 2))
