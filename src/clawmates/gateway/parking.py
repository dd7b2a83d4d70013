"""Connections that a mate has parked on its door, waiting to be called.

A parked connection belongs to the task that serves it at the door; a caller belongs to the task that accepted it. They
meet here: the caller's task hands itself over and waits until the mate's task says that the call is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from clawmates.gateway.bell import Bell
from clawmates.gateway.streams import Side


@dataclass(frozen=True, slots=True)
class Call:
    """A caller, with what it has said so far."""

    name: str
    """The host that it named."""
    side: Side
    early: bytes
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Parking:
    """One bot's parked connections."""

    __slots__ = ("_free", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Call]] = deque()
        self._free = Bell()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, seconds: float) -> Call | None:
        """The next call; ``None`` when nobody has called for so long. Who has waited longest is called first."""
        place: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._free.ring()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await asyncio.wait([place])
        except asyncio.CancelledError:
            if call := _called(place):
                call.over.set()
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(place)
        return _called(place)

    def close(self) -> None:
        """Ends every wait, with nobody having called."""
        while self._waiting:
            self._waiting.popleft().cancel()

    async def take(self, call: Call, seconds: float) -> bool:
        """Hands ``call`` to a parked connection, waiting a little for one; returns whether there was one."""
        await self._free.until(lambda: bool(self._waiting), seconds)
        return self._hand(call)

    def _hand(self, call: Call) -> bool:
        if not self._waiting:
            return False
        self._waiting.popleft().set_result(call)
        return True


def _called(place: asyncio.Future[Call]) -> Call | None:
    return place.result() if place.done() and not place.cancelled() else None
