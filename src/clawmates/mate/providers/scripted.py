"""A provider that says what it was told to: the fake beside the seam."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(slots=True)
class ScriptedProvider:
    """Answers from ``script``, one entry a call: words, or an error to raise. ``gate`` holds every answer back."""

    script: list[Sequence[str] | Exception] = field(default_factory=list)
    host: str = "provider.example"
    gate: asyncio.Event | None = None
    prompts: list[Prompt] = field(default_factory=list)
    _asked: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until_asked(self, count: int) -> None:
        """Waits until it was asked ``count`` times."""
        async with self._asked:
            await self._asked.wait_for(lambda: len(self.prompts) >= count)

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """The next entry; an echo of the last message when the script is over."""
        async with self._asked:
            self.prompts.append(prompt)
            self._asked.notify_all()
        entry = self.script.pop(0) if self.script else (f"You said: {prompt.messages[-1].text}",)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(entry, Exception):
            raise entry
        for word in entry:
            yield Delta(word)
        yield Finished(Stop.COMPLETE, len(prompt.messages), len(entry))
