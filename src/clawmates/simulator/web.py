"""HTTP/1.1 for stand-ins, on h11, that can also do what a good server never does.

Callbacks instead of streams: hundreds of idle long polls cost one timer each, a client that goes away cancels its
handler at once, and a connection can be cut at any byte.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from clawmates.base.hardening import place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from clawmates.simulator.tls import Link

MAX_BODY = 16 << 20
"""Bytes of a request body; more is answered 413."""


class DroppedError(Exception):
    """The connection was cut on purpose."""


class Nursery:
    """Tasks that end with the block that owns them."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Runs ``work``; its cancellation is no error."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancels all that still runs."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """A :class:`Nursery` whose tasks are cancelled at the end of the block."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = Nursery(group)
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - kept out of the group, so that it arrives as what it is
            failed = error
        finally:
            tasks.cancel()
    if failed is not None:
        raise failed


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    tls: str
    """``TLSv1.3``, or empty without TLS."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Exchange:
    """The answering half of one request: whole, in pieces, or broken off."""

    __slots__ = ("_connection", "first_byte", "status")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.first_byte = 0.0
        self.status = 0

    async def whole(self, status: int, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Sends a JSON answer of known length."""
        head = [("content-length", str(len(body))), ("content-type", "application/json"), *headers]
        self.status = status
        self.first_byte = self._connection.clock()
        self._connection.send(h11.Response(status_code=status, headers=head), h11.Data(data=body), h11.EndOfMessage())
        await self._connection.drained()

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Sends the head; without a length the body is chunked."""
        self.status = status
        self.first_byte = self._connection.clock()
        self._connection.send(h11.Response(status_code=status, headers=list(headers)))

    async def send(self, data: bytes) -> None:
        """Sends a piece of the body and waits while the peer does not read; others get their turn in between."""
        self._connection.send(h11.Data(data=data))
        await self._connection.drained()
        await asyncio.sleep(0)

    async def end(self) -> None:
        """The answer is complete."""
        self._connection.send(h11.EndOfMessage())
        await self._connection.drained()

    def drop(self) -> None:
        """Cuts the connection; raises :class:`DroppedError`."""
        self._connection.cut()
        raise DroppedError


class Connection:
    """One client. Requests are handled one after the other."""

    def __init__(
        self,
        handle: Callable[[Request, Exchange], Awaitable[None]],
        *,
        tasks: Nursery,
        clock: Callable[[], float],
    ) -> None:
        self._handle = handle
        self._tasks = tasks
        self.clock = clock
        self._state = h11.Connection(h11.SERVER)
        self._wire: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._tls = ""

    def opened(self, wire: Link, version: str) -> None:
        """Bytes may flow."""
        self._wire = wire
        self._tls = version

    def lost(self) -> None:
        """The client is gone, and with it whoever worked for it."""
        self._wire = None
        self._may_write.set()
        if self._task is not None:
            self._task.cancel()

    def paused(self, *, paused: bool) -> None:
        """The client stopped, or began again, to read."""
        if paused:
            self._may_write.clear()
        else:
            self._may_write.set()

    def received(self, data: bytes) -> None:
        """Feeds the parser."""
        try:
            self._state.receive_data(data)
            self._advance()
        except (OSError, h11.ProtocolError):
            self.close()

    def close(self) -> None:
        """Ends the connection after what is already sent."""
        if self._wire is not None:
            self._wire.close()

    def cut(self) -> None:
        """Ends the connection now, without a goodbye."""
        if self._wire is not None:
            self._wire.abort_after_writing()

    def send(self, *events: h11.Event) -> None:
        """Writes h11 events in one piece; raises ``ConnectionResetError`` when the client is gone."""
        if self._wire is None:
            raise ConnectionResetError
        if data := b"".join(self._state.send(event) or b"" for event in events):
            self._wire.write(data)

    async def drained(self) -> None:
        """Waits while the client does not read."""
        await self._may_write.wait()

    def _advance(self) -> None:
        while self._task is None:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)
                return
            if event is h11.NEED_DATA:
                if self._state.they_are_waiting_for_100_continue:
                    self.send(h11.InformationalResponse(status_code=100, headers=[]))
                return
            if event is h11.PAUSED:
                return
            self._take(event)
            if isinstance(event, h11.ConnectionClosed):
                return

    def _take(self, event: object) -> None:
        match event:
            case h11.Request():
                self._head = event
                self._body.clear()
            case h11.Data():
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    self._refuse(413)
            case h11.EndOfMessage() if self._head is not None:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.headers}
                method, target = self._head.method.decode("ascii"), self._head.target.decode("latin-1")
                request = Request(method, target, headers, bytes(self._body), self._tls)
                self._task = self._tasks.start(self._run(request))
            case _:
                self.close()

    def _refuse(self, status: int) -> None:
        if self._state.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.send(h11.Response(status_code=status, headers=[("content-length", "0"), ("connection", "close")]))
        self.close()

    async def _run(self, request: Request) -> None:
        try:
            await self._handle(request, Exchange(self))
        except (DroppedError, OSError, h11.LocalProtocolError):
            self.cut()
        except Exception as error:  # noqa: BLE001 - the last line: say type and place, drop the text
            sys.stderr.write(f"stand-in failed: {place_of(error)}\n")
            self.cut()
        finally:
            self._task = None
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
            self._advance()
        else:
            self.close()
