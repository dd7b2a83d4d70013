"""Writing the audit chain without slowing anybody down: what comes while a batch is written goes into the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.vault.ledger import Note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from clawmates.base.clock import Clock
    from clawmates.wire.vault_deeds import Detail, Tag


class Recorder:
    """``append`` writes one batch to the disk; its errors reach everyone whose entry was in it."""

    def __init__(self, append: Callable[[Sequence[Note]], Awaitable[None]], clock: Clock) -> None:
        self._append = append
        self._clock = clock
        self._waiting: list[Note] = []
        self._batch: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def write(self, tag: Tag, detail: Detail) -> None:
        """Returns when the entry is on the disk. A caller who goes away does not take it back."""
        self._waiting.append(Note(self._clock.now(), tag, detail))
        if self._batch is None:
            self._batch = asyncio.create_task(self._write())
            # Retrieved here too, for the case that everyone who waited has gone away.
            self._batch.add_done_callback(lambda batch: batch.cancelled() or batch.exception())
        await asyncio.shield(self._batch)

    async def _write(self) -> None:
        async with self._writing:
            notes, self._waiting, self._batch = self._waiting, [], None
            await self._append(notes)
