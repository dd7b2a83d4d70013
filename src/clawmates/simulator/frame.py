"""The frame around every call of every stand-in: journal, faults, and the way an answer goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clawmates.simulator.faults import Faults
from clawmates.simulator.model import Fault, FaultKind, Service

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.simulator.journal import Journal
    from clawmates.simulator.web import Exchange, Request


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a stand-in made of a request before anything can go wrong with it."""

    method: str
    caller: str = ""
    body: str = "{}"
    """The parameters as a JSON object, for the journal."""
    chat_id: int = 0
    styled: bool = True
    """False for a message of plain text, in which no style can be wrong."""
    model: str = ""
    warnings: tuple[str, ...] = ()
    parsed: object = None
    """What the stand-in needs again when it answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    updates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces. The iterator itself meets the faults that happen after so many words."""

    chunks: AsyncIterator[bytes]
    headers: tuple[tuple[str, str], ...]


class StandIn(Protocol):
    """One service behind a :class:`Frame`."""

    service: Service

    def read(self, request: Request) -> Incoming:
        """Names the call; never fails."""
        ...

    async def answer(self, request: Request, incoming: Incoming, number: int, fault: Fault | None) -> Answer | Stream:
        """Does the call and answers as documented, refusals included; ``number`` is the call's in the journal.

        ``fault`` is what happens after so many words; a whole answer meets a ``STREAM_FAILURE`` instead of them.
        """
        ...

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        ...

    def misdirected(self) -> Answer:
        """The answer to a request for another host."""
        ...


class Frame:
    """Handles the requests of one stand-in."""

    def __init__(self, stand_in: StandIn, journal: Journal, clock: Clock) -> None:
        self._stand_in = stand_in
        self._clock = clock
        self.journal = journal
        self.faults = Faults()

    async def handle(self, request: Request, exchange: Exchange) -> None:
        """Serves one request, and notes how it ended whatever happens."""
        incoming = self._stand_in.read(request)
        number = self.journal.begin(
            method=incoming.method,
            caller=incoming.caller,
            tls=request.tls,
            headers=request.headers,
            body=incoming.body,
            model=incoming.model,
            warnings=incoming.warnings,
        )
        complete = False
        try:
            await self._serve(request, incoming, exchange, number)
            complete = True
        finally:
            self.journal.note(
                number,
                answered=self._clock.monotonic(),
                first_byte=exchange.first_byte,
                status=exchange.status,
                complete=complete,
            )

    async def _serve(self, request: Request, incoming: Incoming, exchange: Exchange, number: int) -> None:
        if not self._stand_in.service.serves(_host(request)):
            await _whole(exchange, self._stand_in.misdirected(), None)
            return
        fault = self.faults.take(incoming.method, incoming.chat_id, styled=incoming.styled)
        if fault is not None:
            self.journal.note(number, fault=fault.kind.value)
            if fault.kind is FaultKind.ERROR:
                await _whole(exchange, self._stand_in.failure(fault), None)
                return
            if fault.kind is FaultKind.DROP:
                exchange.drop()
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.seconds)
        answer = await self._stand_in.answer(request, incoming, number, fault)
        if fault is not None and fault.kind is FaultKind.DROP_ANSWER:
            exchange.drop()
        if isinstance(answer, Stream):
            await self._stream(exchange, answer, number)
            return
        if answer.updates:
            self.journal.note(number, updates=answer.updates)
        await _whole(exchange, answer, fault)

    async def _stream(self, exchange: Exchange, answer: Stream, number: int) -> None:
        begun = False
        async for chunk in answer.chunks:
            if not begun:
                exchange.begin(200, answer.headers)
                self.journal.note(number, first_byte=exchange.first_byte, status=200)
                begun = True
            await exchange.send(chunk)
        await exchange.end()


def _host(request: Request) -> str:
    """The Host header without its port."""
    host = request.headers.get("host", "").lower()
    return host.partition("]")[0] + "]" if host[:1] == "[" else host.partition(":")[0]


async def _whole(exchange: Exchange, answer: Answer, fault: Fault | None) -> None:
    kind = fault.kind if fault is not None else None
    if fault is None or kind not in {FaultKind.DROP_MIDWAY, FaultKind.STALL, FaultKind.BAD_JSON}:
        await exchange.whole(answer.status, answer.body, answer.headers)
        return
    if kind is FaultKind.BAD_JSON:
        # Whole by its length, broken by its last character.
        await exchange.whole(answer.status, answer.body[:-1] + b"!", answer.headers)
        return
    middle = len(answer.body) // 2
    length = ("content-length", str(len(answer.body)))
    exchange.begin(answer.status, [length, ("content-type", "application/json"), *answer.headers])
    await exchange.send(answer.body[:middle])
    if kind is FaultKind.DROP_MIDWAY:
        exchange.drop()
    await asyncio.sleep(fault.seconds)
    await exchange.send(answer.body[middle:])
    await exchange.end()
