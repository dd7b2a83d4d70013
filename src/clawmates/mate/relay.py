"""The heart of a mate: from a message to its reply, through the gateway's two turn calls.

Chats are answered in parallel, and in order within a chat. A message is finished at the channel only after its reply
is sent and its turn ended, so a crash at any point loses nothing that the messenger still holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from typing import assert_never

from clawmates.mate import texts
from clawmates.mate.brain import Brain
from clawmates.mate.channels.base import Channel
from clawmates.mate.commands import Command, Usage, answer, command
from clawmates.mate.composing import Composer
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ChannelError, DoorError, MateError
from clawmates.mate.messages import Arrival, Author, Farewell, Halt, Inbound, Message, Rewrite, Text
from clawmates.mate.needs import Guard, Turns
from clawmates.mate.providers.base import Finished, Stop
from clawmates.mate.turns import Running, set_event
from clawmates.mate.writing import CutError, Writing, below
from clawmates.wire.codes import LASTING, Code, Event
from clawmates.wire.door import TurnEnd, Verdict

TURN_SECONDS = 120.0
CROWD = 50
"""Unfinished messages from which on nobody may hold up the others: a messenger shows a hundred at a time."""


@dataclass(slots=True)
class Relay:
    """Takes messages from a channel and answers them.

    ``brain`` is asked anew for every message; ``pseudonym`` gives the name by which the gateway knows a chat.
    """

    channel: Channel
    turns: Turns
    memory: Memory
    brain: Callable[[], Brain]
    pseudonym: Callable[[str], str]
    guard: Guard | None = None
    """``None`` where nobody but the operator can come in: at a terminal."""
    turn_seconds: float = TURN_SECONDS
    another: InitVar[Callable[[Brain], Awaitable[bool]] | None] = None
    """See :class:`~clawmates.mate.composing.Composer`; nobody changes a brain that has none."""
    usage: Usage = field(default_factory=Usage)
    _waiting: dict[str, deque[Inbound]] = field(default_factory=dict)
    _arrived: dict[str, float] = field(default_factory=dict)
    """When each message came that is not dealt with, by its turn."""
    _writing: dict[str, Writing] = field(default_factory=dict)
    _troubled: bool = False
    _quiet: asyncio.Event = field(default_factory=set_event)
    _running: Running = field(default_factory=Running)
    _listening: asyncio.Task[None] | None = None
    _composer: Composer = field(init=False)

    def __post_init__(self, another: Callable[[Brain], Awaitable[bool]] | None) -> None:
        self._composer = Composer(self.turns, self.memory, self.brain, self._say, *((another,) if another else ()))

    async def run(self) -> None:
        """Serves the channel until cancelled."""
        async with asyncio.TaskGroup() as group:

            def accept(inbound: Inbound) -> None:
                self._arrived[inbound.turn] = asyncio.get_running_loop().time()
                queue = self._waiting.get(inbound.chat)
                if queue is None:
                    queue = self._waiting[inbound.chat] = deque()
                    self._quiet.clear()
                    group.create_task(self._serve(inbound.chat, queue))
                queue.append(inbound)

            def deliver(arrival: Arrival) -> None:
                match arrival:
                    case Inbound():
                        # Not behind the very answer that it is to stop.
                        stops = command(arrival.text) is Command.STOP and self._admits(arrival)
                        if stops and self._halt(arrival.chat):
                            self.channel.finish(arrival)
                        else:
                            accept(arrival)
                    case Rewrite():
                        self._rewrite(arrival.inbound)
                    case Halt():
                        self._halt(arrival.chat, arrival.key)
                    case Farewell():
                        self._halt(arrival.chat)
                        self._forget(arrival.chat)
                    case _:
                        assert_never(arrival)

            while True:
                await self._running.may_begin.wait()
                self._listening = group.create_task(self.channel.run(deliver))
                await asyncio.wait([self._listening])

    async def pause(self, seconds: float, more: float) -> bool:
        """Hears nothing and begins nothing from now on; whether all turns have ended, as they must for a hand-over.

        Turns that still wait for their provider after ``seconds`` are cut off, and left to whoever goes on; those whose
        answer is on its way get as long as ``more``.
        """
        self._running.may_begin.clear()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if not await self._running.none(seconds):
            self._running.cutting = True
            for writing in self._writing.values():
                writing.cut_off()
        return await self._running.none(more)

    def go_on(self) -> None:
        """Hears and answers again, what was cut off first."""
        self._running.cutting = False
        self._running.may_begin.set()

    def _halt(self, chat: str, key: int = 0) -> bool:
        """Stops the answer that is being written in a chat; false when there is none."""
        writing = self._writing.get(chat)
        return writing is not None and key in {0, writing.inbound.key} and writing.halt()

    def _rewrite(self, inbound: Inbound) -> None:
        """Puts a changed question in its old place; one that is answered already stays as it was."""
        if command(inbound.text) is not None:
            return
        queue = self._waiting.get(inbound.chat, deque())
        for place, waiting in enumerate(queue):
            if waiting.key == inbound.key:
                queue[place] = inbound
        writing = self._writing.get(inbound.chat)
        if writing is not None and writing.inbound.key == inbound.key:
            writing.rewrite(inbound)

    def _forget(self, chat: str) -> None:
        self.memory.forget(chat)
        self.usage.forget(chat)

    async def drain(self, seconds: float) -> None:
        """Waits until no reply is being written, or ``seconds`` are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    async def _serve(self, chat: str, queue: deque[Inbound]) -> None:
        try:
            while queue:
                await self._running.may_begin.wait()
                inbound = queue.popleft()
                if not await self._running.through(self._finish(inbound)):
                    queue.appendleft(inbound)
        finally:
            del self._waiting[chat]
            if not self._waiting:
                self._quiet.set()

    async def _finish(self, inbound: Inbound) -> None:
        """Deals with one message for good, whatever happens but a cancellation or a cut."""
        left = self._seconds_left(inbound)
        try:
            async with asyncio.timeout(left or self.turn_seconds):
                await self._turn(inbound, late=not left)
        except CutError:
            raise
        except TimeoutError:
            await self._apologise(inbound, Code.TIMED_OUT)
        except ChannelError as error:
            await self._give_up(inbound, error)
        except MateError as error:
            await self._apologise(inbound, error.code)
        except Exception:  # noqa: BLE001 - the last line: what one message breaks stays with that message
            await self._apologise(inbound, Code.INTERNAL)
        self.channel.finish(inbound)

    def _seconds_left(self, inbound: Inbound) -> float:
        """For a turn that begins now, 0 when it is too late: in a crowd its time counts from when the message came.

        So whoever sends a hundred messages at once cannot keep those unseen for long that stand behind them.
        """
        crowded = len(self._arrived) >= CROWD
        now = asyncio.get_running_loop().time()
        waited = now - self._arrived.pop(inbound.turn, now)
        return max(0.0, self.turn_seconds - waited) if crowded else self.turn_seconds

    def _admits(self, inbound: Inbound) -> bool:
        return self.guard is None or self.guard.admits(inbound)

    async def _turn(self, inbound: Inbound, *, late: bool) -> None:
        said = await self.guard.ask(inbound) if self.guard is not None else None
        if said is not None:
            await self._say_to(inbound, said)
            return
        asked = command(inbound.text)
        if asked is not None:
            await self._obey(inbound, asked)
            return
        told = await self.turns.begin(inbound.turn, self.pseudonym(inbound.chat))
        if not told.met:
            self.memory.meet(inbound.chat)
        match told.verdict:
            case Verdict.DONE:
                return
            case Verdict.GO if late:
                await self._apologise(inbound, Code.TIMED_OUT)
            case Verdict.GO:
                await self._reply(inbound)
            case Verdict.OVER:
                await self._apologise(inbound, Code.OVER_QUOTA, end=False)
            case Verdict.GIVE_UP:
                await self._apologise(inbound, Code.GAVE_UP)
            case _:
                assert_never(told.verdict)

    async def _obey(self, inbound: Inbound, asked: Command) -> None:
        if asked is Command.NEW:
            self.memory.forget(inbound.chat)
            self.memory.meet(inbound.chat)
        brain = self.brain()
        said = answer(asked, inbound, model=brain.model, host=brain.provider.host, spent=self.usage.of(inbound.chat))
        await self._say_to(inbound, said)

    async def _say_to(self, inbound: Inbound, text: str) -> None:
        if text:
            async with self.channel.reply(inbound) as reply:
                await reply.send(text)

    async def _reply(self, inbound: Inbound) -> None:
        writing = self._writing[inbound.chat] = Writing(inbound, cut=self._running.cutting)
        try:
            async with self.channel.reply(inbound) as reply:
                answered = await self._composer.compose(writing, reply)
                said = Text(answered.text)
                used = answered.finished
                # Below the answer: read with it, and no part of what the provider is told later.
                lost = used is not None and not self.memory.knows(inbound.chat)
                await reply.send(below(said.text, texts.of(inbound.language).forgotten) if lost else said.text)
        finally:
            del self._writing[inbound.chat]
        if used is not None:
            self.memory.meet(inbound.chat)
            self.memory.remember(inbound.chat, writing.inbound.message, Message(Author.ASSISTANT, (said,)))
            self.usage.count(inbound.chat, used.input_tokens, used.output_tokens)
            await self._recover()
        await self._end(inbound, used)

    async def _say(self, event: Event) -> None:
        self._troubled = self._troubled or event.code in LASTING
        await self.turns.say(event)

    async def _recover(self) -> None:
        """A good answer ends a trouble that the owner was told of."""
        if self._troubled:
            self._troubled = False
            await self.turns.say(Event(code=Code.LIVE))

    async def _apologise(self, inbound: Inbound, code: Code, *, end: bool = True) -> None:
        """Says why there is no answer, for as long as it takes: a message is never finished unanswered.

        Only the messenger's own refusal ends the tries. While it cannot be reached there is nothing else to do here,
        and after a crash the message comes again.
        """
        await self._say(Event(code=code))
        try:
            async with self.channel.reply(inbound) as reply:
                await reply.send(texts.for_code(code, inbound.language))
        except ChannelError as error:
            await self._give_up(inbound, error)
        else:
            if end:
                await self._end(inbound)

    async def _give_up(self, inbound: Inbound, error: ChannelError) -> None:
        """The messenger refuses the reply itself: the person is gone, or cannot be written to."""
        if error.code is Code.PERSON_UNREACHABLE:
            self._forget(inbound.chat)
        await self._say(error.event)
        await self._end(inbound)

    async def _end(self, inbound: Inbound, finished: Finished | None = None) -> None:
        used = finished or Finished(Stop.COMPLETE)
        try:
            await self.turns.end(
                TurnEnd(turn=inbound.turn, input_tokens=used.input_tokens, output_tokens=used.output_tokens)
            )
        except DoorError as error:
            await self._say(error.event)
