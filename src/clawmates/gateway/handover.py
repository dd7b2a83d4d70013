"""One bot's context on its way from one life to the next: sealed, in RAM, once, for seconds.

Nothing is held unless somebody waits for it: the heir claims first, the life before it gives, and what it gave is
passed to the claim at once and forgotten. The giver is told only after the heir has said that it holds the context, so
that a life ends knowing that it was not in vain. The gateway can open none of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.http.server import Reply
from clawmates.gateway.bell import Bell
from clawmates.gateway.query import whole_number
from clawmates.wire.handover import CLAIM_WAIT_SECONDS, TAKEN_SECONDS, Claim, Heir, Taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from clawmates.base.http.server import Request


def _future() -> asyncio.Future[bytes]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Waiting:
    claim: Claim
    number: int
    sealed: asyncio.Future[bytes] = field(default_factory=_future)


class Succession:
    """At one door; at most one heir claims, and at most one life gives."""

    __slots__ = ("_claims", "_given", "_giver", "_ring", "_taken", "_told", "_waiting")

    def __init__(self, ring: Callable[[], None]) -> None:
        """``ring`` wakes those who wait to hear of an heir."""
        self._ring = ring
        self._claims = 0
        self._waiting: _Waiting | None = None
        self._giver: asyncio.Task[object] | None = None
        self._given = 0
        """The generation whose word is waited for, or 0."""
        self._taken = False
        self._told = Bell()

    async def answer(self, request: Request, while_there: Callable[[], AbstractContextManager[None]]) -> Reply:
        """What the door says to ``/handover/…``; ``while_there`` ends a wait whose peer is gone."""
        match (request.method, request.path):
            case ("POST", "/handover/claim"):
                claim = request.json(Claim)
                with while_there():
                    sealed = await self.claim(claim, CLAIM_WAIT_SECONDS)
                return Reply() if sealed is None else Reply(200, sealed, "application/octet-stream")
            case ("POST", "/handover/taken"):
                word = request.json(Taken)
                self.taken(word.generation, good=word.good)
                return Reply()
            case ("GET", "/handover/heir"):
                heir = self.heir(whole_number(request, "life"), 0)
                return Reply.error(404, "no-heir") if heir is None else Reply.json(heir)
            case ("POST", "/handover/context"):
                given = await self.give(whole_number(request, "heir"), request.body, TAKEN_SECONDS)
                return Reply() if given else Reply.error(409, "not-taken")
            case _:
                return Reply.error(404, "not-found")

    def heir(self, life: int, heard: int) -> Heir | None:
        """Who claims what ``life`` holds, unless the life has ``heard`` of that claim."""
        waiting = self._waiting
        if waiting is None or waiting.claim.predecessor != life or waiting.number <= heard:
            return None
        return Heir(number=waiting.number, claim=waiting.claim)

    async def claim(self, claim: Claim, seconds: float) -> bytes | None:
        """Waits at most so long for the context; a claim that comes later takes this one's place."""
        self._claims += 1
        if self._waiting is not None:
            self._waiting.sealed.cancel()
        mine = self._waiting = _Waiting(claim, self._claims)
        self._ring()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.wait([mine.sealed])
        finally:
            if self._waiting is mine:
                self._waiting = None
        return mine.sealed.result() if mine.sealed.done() and not mine.sealed.cancelled() else None

    def expects(self, task: asyncio.Task[object]) -> bool:
        """Whether ``task`` may give as much as a context: only while an heir waits, and one at a time."""
        if self._waiting is None or not (self._giver is None or self._giver is task or self._giver.done()):
            return False
        self._giver = task
        return True

    async def give(self, generation: int, sealed: bytes, seconds: float) -> bool:
        """Passes a context on; whether the heir has said, in at most so long, that it holds it."""
        self._giver = None
        waiting = self._waiting
        if waiting is None or waiting.claim.generation != generation or waiting.sealed.done():
            return False
        self._given, self._taken = generation, False
        waiting.sealed.set_result(sealed)
        self._waiting = None
        del sealed, waiting  # from here on it is the claim's alone
        try:
            await self._told.until(lambda: self._given != generation, seconds)
        finally:
            self._given = 0
        return self._taken

    def taken(self, generation: int, *, good: bool) -> None:
        """The heir's word; that of any other life is passed over."""
        if generation == self._given:
            self._given, self._taken = 0, good
            self._told.ring()
