"""So much at once: starts and ends are work for the processor, and node must answer in between (ADR 30)."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def cores() -> int:
    """The processors that this process may use (sched_getaffinity(2))."""
    return len(os.sched_getaffinity(0))


class Turns:
    """At most ``most`` turns are held at a time, first come, first served.

    A turn that is held for longer than ``patience`` seconds is passed on; whoever held it goes on without.
    """

    def __init__(self, most: int, patience: float | None = None) -> None:
        self._free = asyncio.Semaphore(most)
        self._patience = patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn and holds it while the block runs."""
        await self._free.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        late = asyncio.get_running_loop().call_later(self._patience, give_back) if self._patience is not None else None
        try:
            yield
        finally:
            if late is not None:
                late.cancel()
            give_back()
