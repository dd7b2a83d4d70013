"""Lookups by a helper process: the resolver over TLS, which is not in this one because this one never opens TLS.

The helper is :mod:`clawmates.resolver`. It is told listed names and says addresses, a line each, on a socket that it
was born with; what it says is checked like any other resolver's word. It is started when it is first needed, again
when it has died, and it ends with the gateway.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import cast

from clawmates.gateway.addresses import Address, parse_address
from clawmates.gateway.resolve import LookupFailedError

MAX_LINE = 4096
REST_SECONDS = 1.0
"""Between two starts of a helper that keeps dying."""


class HelperError(ValueError):
    """The helper says something that it was not asked."""


def parse_answer(line: bytes) -> tuple[int, tuple[Address, ...]]:
    """``NUMBER ADDRESS…``: whose answer it is, and the addresses, none for a name that has none.

    Raises :class:`HelperError`.
    """
    try:
        number, *words = line.decode("ascii").split(" ")
        addresses = [parse_address(word) for word in words if word]
        asked = int(number)
    except ValueError:
        raise HelperError from None
    found = tuple(address for address in addresses if address is not None)
    if len(found) != len(addresses):
        raise HelperError
    return asked, tuple(dict.fromkeys(found))


class _Line(asyncio.Protocol):
    """The helper's socket: answers find who asked."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.asked: dict[int, asyncio.Future[tuple[Address, ...]]] = {}
        self.lost = False
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._hear(line)
        if len(self._held) > MAX_LINE:
            self.close()

    def _hear(self, line: bytes) -> None:
        try:
            number, addresses = parse_answer(line)
        except HelperError:
            self.close()
            return
        if who := self.asked.get(number):
            _tell(who, addresses)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True
        for who in self.asked.values():
            _tell(who, ())

    def close(self) -> None:
        self._transport.abort()

    def say(self, line: bytes) -> None:
        self._transport.write(line)


def _tell(who: asyncio.Future[tuple[Address, ...]], addresses: tuple[Address, ...]) -> None:
    if not who.done():
        who.set_result(addresses)


@dataclass(slots=True)
class HelperResolver:
    """``command`` starts the helper, whose end of the socket is its standard input."""

    command: Sequence[str]
    now: Callable[[], float]
    """Monotonic seconds."""
    _line: _Line | None = None
    _process: asyncio.subprocess.Process | None = None
    _rest_until: float = 0.0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """See :class:`~clawmates.gateway.resolve.Resolver`. The caller bounds the time."""
        async with self._lock:
            line = await self._ready()
        number = next(self._numbers)
        answer: asyncio.Future[tuple[Address, ...]] = asyncio.get_running_loop().create_future()
        line.asked[number] = answer
        try:
            line.say(b"%d %s\n" % (number, host.encode("ascii")))
            addresses = await answer
        finally:
            del line.asked[number]
        if not addresses:
            raise LookupFailedError
        return addresses

    async def close(self) -> None:
        """Ends the helper."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _ready(self) -> _Line:
        if self._line is not None and not self._line.lost:
            return self._line
        if self.now() < self._rest_until:
            raise LookupFailedError
        self._rest_until = self.now() + REST_SECONDS
        await self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL, env={}
                )
                _, self._line = await asyncio.get_running_loop().create_unix_connection(_Line, sock=ours)
            except OSError:
                ours.close()
                raise LookupFailedError from None
        return self._line
