"""Takes containers away; those that wait at the same time go with one Podman, for a quarter of what each would cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clawmates.node.engines.base import EngineError

TOGETHER = 16
"""Half a second's work: who comes next may be a container that is weaker than asked, and must go."""
PAUSE = 0.05
TRIES = 6
"""How often a removal is tried: right after an exit the engine's own clean-up may hold the container ("busy")."""


@dataclass(slots=True)
class Removals:
    """``take`` removes all containers of these names that there are, or raises :class:`EngineError`."""

    take: Callable[[tuple[str, ...]], Awaitable[object]]
    _waiting: dict[str, None] = field(default_factory=dict)
    _left: set[str] = field(default_factory=set)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def remove(self, name: str) -> None:
        """Raises the last :class:`EngineError` where it cannot be done."""
        self._waiting[name] = None
        async with self._turn:
            if name in self._waiting:
                await self._take_along(name)
        if name not in self._left:
            return
        self._left.discard(name)
        for tried in range(1, TRIES):
            await asyncio.sleep(PAUSE * 2**tried)
            try:
                await self.take((name,))
            except EngineError:
                if tried == TRIES - 1:
                    raise
            else:
                return

    async def _take_along(self, name: str) -> None:
        """This one, and who else waits; a name that could not be taken away is left to whoever asked for it."""
        others = [one for one in self._waiting if one != name]
        names = (name, *others[: TOGETHER - 1])
        for one in names:
            del self._waiting[one]
        done = False
        try:
            await self.take(names)
            done = True
        except EngineError:
            pass
        finally:
            if not done:
                self._left.update(names)
