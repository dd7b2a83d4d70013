"""The terminal channel: a console in the same container, over that namespace's own loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.mate.channels.base import Position
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Arrival, Inbound, Text
from clawmates.wire.codes import Code
from clawmates.wire.terminal import HOST, MAX_LINE, PORT, Heard, Said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class TerminalReply:
    """Grows on the console, then ends."""

    writer: asyncio.StreamWriter
    _shown: str = ""

    def show(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`.

        What is on a console cannot be taken back: an answer that begins anew is shown when it is whole.
        """
        if text.startswith(self._shown):
            self._write(Heard(delta=text[len(self._shown) :]))
            self._shown = text

    async def send(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`."""
        self._write(Heard(reply=text))
        try:
            await self.writer.drain()
        except OSError:
            raise ChannelError(Code.PERSON_UNREACHABLE) from None

    def _write(self, heard: Heard) -> None:
        if not self.writer.is_closing():
            self.writer.write(encode_json(heard) + b"\n")


@dataclass(slots=True)
class Terminal:
    """Serves consoles; every connection is a chat of its own. ``identity`` makes turn ids that never repeat."""

    identity: Callable[[], str]
    port: int = PORT
    bound: int = 0
    """The port it listens on, once it does."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: dict[str, asyncio.StreamWriter] = field(default_factory=dict)

    async def run(self, deliver: Callable[[Arrival], None]) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""

        async def console(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            chat = self.identity()
            self._writers[chat] = writer
            try:
                await self._listen(chat, reader, deliver)
            finally:
                self._writers.pop(chat, None)
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        server = await asyncio.start_server(console, HOST, self.port, limit=MAX_LINE)
        async with server:
            self.bound = server.sockets[0].getsockname()[1]
            self.ready.set()
            await server.serve_forever()

    async def _listen(self, chat: str, reader: asyncio.StreamReader, deliver: Callable[[Arrival], None]) -> None:
        number = 0
        while True:
            try:
                line = await reader.readline()
                said = decode_json(Said, line, MAX_LINE)
            except (ValueError, ShapeError, OSError):
                return
            number += 1
            deliver(Inbound(f"terminal:{chat}:{number}", chat, number, (Text(said.text),)))

    @asynccontextmanager
    async def reply(self, inbound: Inbound) -> AsyncIterator[TerminalReply]:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        writer = self._writers.get(inbound.chat)
        if writer is None:
            raise ChannelError(Code.PERSON_UNREACHABLE)
        yield TerminalReply(writer)

    async def tell(self, person: str, text: str) -> None:  # noqa: ARG002 - here nobody has a number
        """Whoever is at a console reads it; where nobody is, nobody needs to know."""
        line = encode_json(Heard(notice=text)) + b"\n"
        for writer in tuple(self._writers.values()):
            if not writer.is_closing():
                writer.write(line)

    def finish(self, inbound: Inbound) -> None:
        """Nothing is queued behind a terminal: what is said while the mate is away is not heard."""

    async def prepare(self) -> None:
        """There is nobody to ask."""

    def position(self) -> Position:
        """A console's chat ends with the container, so there is none."""
        return Position()

    def resume(self, position: Position) -> None:
        """See :meth:`position`."""
