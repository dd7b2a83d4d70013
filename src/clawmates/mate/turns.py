"""Whether turns may begin, and when none runs: what a life that hands over has to know of itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.mate.writing import CutError

if TYPE_CHECKING:
    from collections.abc import Awaitable


def set_event() -> asyncio.Event:
    """An event that is set from the beginning."""
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Running:
    """The turns of one mate."""

    may_begin: asyncio.Event = field(default_factory=set_event)
    cutting: bool = False
    """Whether what still waits for its provider is cut off."""
    _count: int = 0
    _none: asyncio.Event = field(default_factory=set_event)

    async def through(self, turn: Awaitable[None]) -> bool:
        """Waits for one turn's end; false when it was cut off."""
        self._count += 1
        self._none.clear()
        try:
            await turn
        except CutError:
            return False
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()
        return True

    async def none(self, seconds: float) -> bool:
        """Waits at most so long until no turn runs; whether none does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()
        return self._none.is_set()
