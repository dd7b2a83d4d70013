"""A channel that hears what it was told to: the fake beside the seam."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.mate.channels.base import Position
from clawmates.mate.messages import Arrival, Halt, Inbound, Rewrite, Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(slots=True)
class ScriptedReply:
    """Keeps what was shown and sent."""

    shown: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    failure: Exception | None = None
    away: asyncio.Event | None = None
    """Set when the messenger can be reached again; ``None`` when it always can."""
    trying: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`."""
        self.shown.append(text)

    async def send(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`."""
        if self.failure is not None:
            raise self.failure
        if self.away is not None:
            self.trying.set()
            await self.away.wait()
        self.sent.append(text)


@dataclass(slots=True)
class ScriptedChannel:
    """``say`` puts a message in; ``until_finished`` waits for its end."""

    incoming: asyncio.Queue[Arrival] = field(default_factory=asyncio.Queue)
    replies: dict[int, ScriptedReply] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    away: asyncio.Event | None = None
    where: Position = Position()  # noqa: RUF009 - frozen
    unprepared: list[Exception] = field(default_factory=list)
    """What :meth:`prepare` raises, one after the other, before it is well."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)

    def say(self, key: int, text: str, chat: str = "1", person: str = "", *, private: bool = True) -> None:
        """A person says ``text``."""
        parts = (Text(text),)
        self.incoming.put_nowait(Inbound(f"scripted:{key}", chat, key, parts, person=person, private=private))

    def rewrite(self, key: int, text: str, chat: str = "1") -> None:
        """A person changes what they said."""
        self.incoming.put_nowait(Rewrite(Inbound(f"scripted:{key}", chat, key, (Text(text),))))

    def halt(self, key: int = 0, chat: str = "1") -> None:
        """A person presses Stop."""
        self.incoming.put_nowait(Halt(chat, key))

    async def run(self, deliver: Callable[[Arrival], None]) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        while True:
            deliver(await self.incoming.get())

    @asynccontextmanager
    async def reply(self, inbound: Inbound) -> AsyncIterator[ScriptedReply]:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        yield self.replies.setdefault(inbound.key, ScriptedReply(failure=self.failure, away=self.away))

    async def tell(self, person: str, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        if self.failure is not None:
            raise self.failure
        if self.away is not None:
            await self.away.wait()
        self.told.append((person, text))

    def finish(self, inbound: Inbound) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self.finished.append(inbound.key)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def prepare(self) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        if self.unprepared:
            raise self.unprepared.pop(0)

    def position(self) -> Position:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        return self.where

    def resume(self, position: Position) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self.where = position

    async def until_tried(self, key: int) -> None:
        """Waits until a reply to a message was tried while the messenger was away."""
        await self.replies.setdefault(key, ScriptedReply(away=self.away)).trying.wait()

    async def until_finished(self, count: int) -> None:
        """Waits until ``count`` messages are finished."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.finished) >= count)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
