"""An answer while it is being written: a person can stop it, or change the question under it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clawmates.mate.messages import Inbound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class CutError(Exception):
    """The turn is given to the bot's next life before its answer was whole."""


_FENCES = ("```", "~~~")


@dataclass(slots=True)
class Writing:
    """One message that is being dealt with, and what there is of its answer."""

    inbound: Inbound
    text: str = ""
    halted: bool = False
    cut: bool = False
    _scope: asyncio.Timeout | None = None
    _over: bool = False

    def halt(self) -> bool:
        """Closes the call to the provider at once; false when the answer is whole already."""
        if self._over:
            return False
        self.halted = True
        self._interrupt()
        return True

    def cut_off(self) -> None:
        """Leaves the message to the bot's next life; an answer that is whole already is sent all the same."""
        if not self._over:
            self.cut = True
            self._interrupt()

    def rewrite(self, inbound: Inbound) -> None:
        """Puts another question in the place of this one; what there is of the answer is dropped."""
        if not self._over:
            self.inbound = inbound
            self._interrupt()

    async def run(self, ask: Callable[[Inbound], Awaitable[T]]) -> T | None:
        """What ``ask`` returns for the question as it stands in the end; ``None`` when it was halted.

        Raises :class:`CutError` when it was cut off.
        """
        try:
            while not self.halted:
                if self.cut:
                    raise CutError
                self.text = ""
                scope = self._scope = asyncio.timeout(None)
                try:
                    async with scope:
                        return await ask(self.inbound)
                except TimeoutError:
                    # Somebody else's clock, or our own scope that was told to end.
                    if not scope.expired():
                        raise
            return None
        finally:
            self._scope = None
            self._over = True

    def _interrupt(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())


def below(text: str, note: str) -> str:
    """``note`` in a paragraph below a Markdown text that may have ended anywhere, even within a code block."""
    if not text.strip():
        return note
    fence = ""
    for line in text.splitlines():
        start = line.strip()[:3]
        if start in _FENCES and fence in {"", start}:
            fence = "" if fence else start
    return f"{text.rstrip()}\n{fence}\n{note.lstrip()}"
