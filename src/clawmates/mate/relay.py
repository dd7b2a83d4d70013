"""The heart of a mate: from a message to its reply, through the gateway's two turn calls.

Chats are answered in parallel, and in order within a chat. A message is finished at the channel only after its reply
is sent and its turn ended, so a crash at any point loses nothing that the messenger still holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from clawmates.mate import texts
from clawmates.mate.channels.base import Channel
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ChannelError, DoorError, MateError, ProviderError
from clawmates.mate.messages import Author, Inbound, Message, Text
from clawmates.mate.providers.base import Delta, Finished, Prompt, Provider, Stop
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import TurnAnswer, TurnEnd, Verdict

if TYPE_CHECKING:
    from typing import Protocol

    from clawmates.mate.channels.base import Reply

    class Turns(Protocol):
        """What the relay needs of the door."""

        async def begin(self, turn: str) -> TurnAnswer:
            """Asks what to do with a turn."""
            ...

        async def end(self, end: TurnEnd) -> None:
            """Says that a reply was sent."""
            ...

        async def say(self, event: Event) -> None:
            """Tells the owner something."""
            ...


TURN_SECONDS = 120.0
APOLOGY_SECONDS = 20.0
PROVIDER_CALLS = 8


@dataclass(frozen=True, slots=True)
class Brain:
    """What answers, and how it was told to. Replaced whole when the configuration changes."""

    provider: Provider
    model: str
    instructions: str
    context_tokens: int
    output_tokens: int
    temperature: float | None = None

    def prompt(self, messages: tuple[Message, ...]) -> Prompt:
        """The prompt for a window of messages."""
        return Prompt(self.model, self.instructions, messages, self.output_tokens, self.temperature)

    @property
    def window_tokens(self) -> int:
        """What is left for the conversation beside the answer."""
        return max(self.context_tokens - self.output_tokens, 1)


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    finished: Finished | None = None


@dataclass(slots=True)
class Relay:
    """Takes messages from a channel and answers them. ``brain`` is asked anew for every message."""

    channel: Channel
    turns: Turns
    memory: Memory
    brain: Callable[[], Brain]
    turn_seconds: float = TURN_SECONDS
    _waiting: dict[str, deque[Inbound]] = field(default_factory=dict)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROVIDER_CALLS))

    async def run(self) -> None:
        """Serves the channel until cancelled."""
        self._quiet.set()
        async with asyncio.TaskGroup() as group:

            def deliver(inbound: Inbound) -> None:
                queue = self._waiting.get(inbound.chat)
                if queue is None:
                    queue = self._waiting[inbound.chat] = deque()
                    self._quiet.clear()
                    group.create_task(self._serve(inbound.chat, queue))
                queue.append(inbound)

            await self.channel.run(deliver)

    async def drain(self, seconds: float) -> None:
        """Waits until no reply is being written, or ``seconds`` are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    async def _serve(self, chat: str, queue: deque[Inbound]) -> None:
        try:
            while queue:
                await self._finish(queue.popleft())
        finally:
            del self._waiting[chat]
            if not self._waiting:
                self._quiet.set()

    async def _finish(self, inbound: Inbound) -> None:
        """Deals with one message for good, whatever happens but a cancellation."""
        try:
            async with asyncio.timeout(self.turn_seconds):
                await self._turn(inbound)
        except TimeoutError:
            await self._apologise(inbound, Code.TIMED_OUT)
        except MateError as error:
            await self.turns.say(error.event)
            await self._end(inbound)
        self.channel.finish(inbound)

    async def _turn(self, inbound: Inbound) -> None:
        command = texts.COMMANDS.get(_command(inbound))
        if command is not None or _command(inbound) == "/new":
            await self._obey(inbound, command or texts.NEW)
            return
        verdict = (await self.turns.begin(inbound.turn)).verdict
        match verdict:
            case Verdict.DONE:
                return
            case Verdict.GO:
                await self._reply(inbound)
            case Verdict.OVER:
                await self._apologise(inbound, Code.OVER_QUOTA, end=False)
            case Verdict.GIVE_UP:
                await self._apologise(inbound, Code.GAVE_UP)
            case _:
                assert_never(verdict)

    async def _obey(self, inbound: Inbound, answer: str) -> None:
        if _command(inbound) == "/new":
            self.memory.forget(inbound.chat)
        async with self.channel.reply(inbound) as reply:
            await reply.send(answer)

    async def _reply(self, inbound: Inbound) -> None:
        async with self.channel.reply(inbound) as reply:
            answer = await self._compose(inbound, reply)
            await reply.send(answer.text)
        if answer.finished is not None:
            said = Message(Author.ASSISTANT, (Text(answer.text),))
            self.memory.remember(inbound.chat, inbound.message, said)
        await self._end(inbound, answer.finished)

    async def _compose(self, inbound: Inbound, reply: Reply) -> _Answer:
        if not inbound.message.text.strip():
            return _Answer(texts.TEXT_ONLY)
        try:
            async with self._calls:
                return await self._ask(inbound, reply)
        except ProviderError as error:
            await self.turns.say(error.event)
            return _Answer(texts.for_code(error.code))

    async def _ask(self, inbound: Inbound, reply: Reply) -> _Answer:
        brain = self.brain()
        window = self.memory.window(inbound.chat, inbound.message, brain.window_tokens)
        text = ""
        async with aclosing(brain.provider.answer(brain.prompt(window))) as pieces:
            async for piece in pieces:
                match piece:
                    case Delta():
                        text += piece.text
                        reply.show(text)
                    case Finished(stop=Stop.FILTERED):
                        raise ProviderError(Code.FILTERED)
                    case Finished(stop=Stop.LENGTH):
                        return _Answer(text + texts.CUT_AT_LENGTH, piece)
                    case Finished():
                        return _Answer(text if text.strip() else texts.EMPTY_ANSWER, piece)
                    case _:
                        assert_never(piece)
        raise ProviderError(Code.PROVIDER_ERROR)

    async def _apologise(self, inbound: Inbound, code: Code, *, end: bool = True) -> None:
        """Says why there is no answer; a person who cannot be reached even then is given up."""
        await self.turns.say(Event(code=code))
        try:
            async with asyncio.timeout(APOLOGY_SECONDS), self.channel.reply(inbound) as reply:
                await reply.send(texts.for_code(code))
        except (ChannelError, TimeoutError):
            await self.turns.say(Event(code=Code.PERSON_UNREACHABLE))
        if end:
            await self._end(inbound)

    async def _end(self, inbound: Inbound, finished: Finished | None = None) -> None:
        used = finished or Finished(Stop.COMPLETE)
        try:
            await self.turns.end(
                TurnEnd(turn=inbound.turn, input_tokens=used.input_tokens, output_tokens=used.output_tokens)
            )
        except DoorError as error:
            await self.turns.say(error.event)


def _command(inbound: Inbound) -> str:
    """``/new`` of ``/new@some_bot please``; empty for what is no command."""
    text = inbound.message.text
    return text.split(maxsplit=1)[0].partition("@")[0].lower() if text.startswith("/") else ""
