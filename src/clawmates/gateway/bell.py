"""Wakes everybody who waits for news."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """What a long poll waits on."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is news."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, news: Callable[[], bool], seconds: float) -> bool:
        """Waits at most so long until ``news`` holds; returns whether it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not news():
                    await self._rung.wait()
        return news()
