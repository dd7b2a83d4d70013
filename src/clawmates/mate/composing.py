"""From a question to the text that answers it: the provider's own words, or a sentence that says why there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from clawmates.mate import texts
from clawmates.mate.brain import Brain
from clawmates.mate.conversation import BYTES_PER_TOKEN, Memory
from clawmates.mate.errors import ProviderError
from clawmates.mate.needs import Turns
from clawmates.mate.providers.base import Delta, Finished, Stop
from clawmates.mate.writing import below
from clawmates.wire.codes import Code, Event

if TYPE_CHECKING:
    from clawmates.mate.channels.base import Reply
    from clawmates.mate.messages import Inbound, Message
    from clawmates.mate.writing import Writing

PROVIDER_CALLS = 8
MOST_CHARACTERS = 200_000
"""Of one answer; about fifty messages of Telegram's size."""

_TAKEN_AWAY = frozenset({Code.PROVIDER_UNREACHABLE, Code.HOST_NOT_ALLOWED, Code.ITEM_MISSING, Code.BAD_KEY})
"""How it looks when the provider that is being asked, or its key, is no longer the bot's."""


async def _none(_brain: Brain) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent to the person. ``finished`` is ``None`` where no provider answered, so nothing is remembered."""

    text: str
    finished: Finished | None = None


@dataclass(slots=True)
class Composer:
    """Asks the brain, at most :data:`PROVIDER_CALLS` times at once. ``say`` tells the owner of a trouble."""

    turns: Turns
    memory: Memory
    brain: Callable[[], Brain]
    say: Callable[[Event], Awaitable[None]]
    another: Callable[[Brain], Awaitable[bool]] = _none
    """Whether another brain has taken that one's place, after a moment's wait for one that is on its way."""
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROVIDER_CALLS))

    async def compose(self, writing: Writing, reply: Reply) -> Answer:
        """The answer to what is being dealt with, shown in ``reply`` as it grows.

        Raises :class:`~clawmates.mate.writing.CutError` when it was cut off.
        """
        words = texts.of(writing.inbound.language)

        async def ask(inbound: Inbound) -> Answer:
            if not inbound.text.strip():
                return Answer(words.text_only)
            async with self._calls:
                deaths, brain = self.turns.deaths, self.brain()
                try:
                    return await self._ask(brain, inbound, reply, writing)
                except ProviderError as error:
                    ours = error.code is Code.PROVIDER_UNREACHABLE and await self.turns.died(deaths)
                    if not ours and not (error.code in _TAKEN_AWAY and await self.another(brain)):
                        raise
                # Our own gateway died under the answer, or the owner has changed who answers, and the way to the one
                # that was asked is shut; of its answer the person has seen a preview, which begins anew.
                return await self._ask(self.brain(), inbound, reply, writing)

        try:
            whole = await writing.run(ask)
        except ProviderError as error:
            await self.say(error.event)
            return Answer(texts.for_code(error.code, writing.inbound.language))
        return whole or Answer(below(writing.text, words.stopped), self._estimate(writing))

    def _estimate(self, writing: Writing) -> Finished:
        """About what a stopped call has cost: who hangs up is not told."""
        window = self.memory.window(writing.inbound.chat, writing.inbound.message, self.brain().window_tokens)
        read = sum(len(message.text) for message in window) // BYTES_PER_TOKEN
        return Finished(Stop.COMPLETE, read, len(writing.text) // BYTES_PER_TOKEN)

    async def _ask(self, brain: Brain, inbound: Inbound, reply: Reply, writing: Writing) -> Answer:
        words = texts.of(inbound.language)
        text = ""

        def history(tokens: int) -> tuple[Message, ...]:
            return self.memory.window(inbound.chat, inbound.message, tokens)

        async with aclosing(brain.answer(history, self.say)) as pieces:
            async for piece in pieces:
                match piece:
                    case Delta():
                        writing.text = text = text + piece.text
                        reply.show(text)
                        if len(text) > MOST_CHARACTERS:
                            return Answer(below(text, words.cut_at_length), self._estimate(writing))
                    case Finished(stop=Stop.FILTERED):
                        raise ProviderError(Code.FILTERED)
                    case Finished(stop=Stop.LENGTH):
                        return Answer(below(text, words.cut_at_length), piece)
                    case Finished():
                        return Answer(text if text.strip() else words.empty_answer, piece)
                    case _:
                        assert_never(piece)
        raise ProviderError(Code.PROVIDER_ERROR)
