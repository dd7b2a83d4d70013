"""The mate's only way out: tunnels, turns, events and configuration through one unix socket."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.http.client import ClosedError, ConnectFailedError, Connection, HttpError
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.mate.errors import DoorError, GoneError
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import (
    CONFIG_WAIT_SECONDS,
    GONE,
    OLLAMA_HOST,
    SOCKET,
    MateConfig,
    TurnAnswer,
    TurnBegin,
    TurnEnd,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

CALL_SECONDS = 5.0
RETRY_SECONDS = 0.2
KNOCK_SECONDS = 0.1
HEAL_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
NOTICE_SECONDS = 0.3
"""Within which a death of the gateway is noticed here, after it has broken a tunnel."""
ENDS_KEPT = 100
"""As many as messages can be unfinished at a messenger at once."""
ENDS_KEPT_SECONDS = 180.0
"""By then a messenger has been told that they are finished. What is older is not told: it would count in a new day."""
MAX_ANSWER = 64 * 1024
OLLAMA_NAME = "localhost"
"""What Ollama's Host header must say: on a loopback address it refuses other names, against DNS rebinding."""


class News(Enum):
    """What else a mate may hear when it asks for its configuration."""

    HEIR = "heir"
    """The bot's next life waits for what this one remembers."""


_HEIR_STATUS = 303


@dataclass(slots=True)
class Door:
    """Calls are retried while the gateway restarts; every one of them may be repeated without harm.

    The long poll for the configuration is always there, so its break is how a death of the gateway is noticed.
    """

    path: str = SOCKET
    deaths: int = 0
    """How often the gateway has died under this mate."""
    life: int = 0
    """This container's generation, once it is known."""
    heard: int = 0
    """The newest heir's claim that was looked at."""
    _calls: list[Connection] = field(default_factory=list)
    _there: bool = False
    """Whether the gateway was there when it was looked for last."""
    _told: int = 0
    """After which death the next one was told what it has to know."""
    _death: asyncio.Event = field(default_factory=asyncio.Event)
    _ends: deque[tuple[float, TurnEnd]] = field(default_factory=lambda: deque(maxlen=ENDS_KEPT))

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        """Asks what to do with a turn of a chat; raises :class:`DoorError` when the gateway stays away."""
        answer = await self._call("POST", "/turn/begin", encode_json(TurnBegin(turn=turn, chat=chat)))
        return self._read(answer, lambda raw: decode_json(TurnAnswer, raw, MAX_ANSWER))

    async def end(self, end: TurnEnd) -> None:
        """Says that a reply was sent."""
        self._ends.append((asyncio.get_running_loop().time(), end))
        await self._call("POST", "/turn/end", encode_json(end))

    async def say(self, event: Event) -> None:
        """Tells the owner something; a gateway that is away or has heard enough drops it."""
        with suppress(DoorError):
            await self._call("POST", "/event", encode_json(replace(event, life=self.life)), heal=False)

    async def config(self, after: int) -> MateConfig | News | None:
        """The configuration when it is newer than revision ``after``; waits up to 50 s for one, or for other news."""
        target = f"/config?after={after}&life={self.life}&heard={self.heard}"
        status, answer = await self._poll(target, CONFIG_WAIT_SECONDS + CALL_SECONDS)
        if status == _HEIR_STATUS:
            return News.HEIR
        return self._read(answer, lambda raw: decode_json(MateConfig, raw, MAX_ANSWER)) if answer else None

    async def _poll(self, target: str, seconds: float) -> tuple[int, bytes]:
        """A long poll, which notices a death of the gateway; begun anew until there is one again."""
        clock = asyncio.get_running_loop().time
        failed = 0.0
        while True:
            try:
                await self._retell()
                return await self._once("GET", target, b"", seconds)
            except (HttpError, TimeoutError):
                failed = failed or clock()
                if clock() >= failed + HEAL_SECONDS:
                    raise DoorError(Code.INTERNAL) from None
                await asyncio.sleep(RETRY_SECONDS)

    async def died(self, since: int) -> bool:
        """Whether the gateway has died since there were so many :attr:`deaths`; a break of a tunnel may show first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTICE_SECONDS):
                while self.deaths == since:
                    await self._death.wait()
        return self.deaths != since

    def _mourn(self) -> None:
        """A gateway that was there hung up, or is gone: a death, the first time that it shows."""
        if self._there:
            self._there = False
            self.deaths += 1
            self._death.set()
            self._death = asyncio.Event()

    async def _retell(self) -> None:
        """The next gateway has forgotten which turns ended of late, and would let them be answered again."""
        deaths = self.deaths
        if deaths == self._told:
            return
        oldest = asyncio.get_running_loop().time() - ENDS_KEPT_SECONDS
        for said, end in tuple(self._ends):
            if said > oldest:
                await self._once("POST", "/turn/end", encode_json(end), CALL_SECONDS)
        self._told = deaths

    async def once(self, method: str, target: str, body: bytes = b"", *, seconds: float, most: int) -> bytes:
        """A call that is not repeated; the answer has at most ``most`` bytes. Raises :class:`DoorError`."""
        try:
            return (await self._once(method, target, body, seconds, most))[1]
        except (HttpError, TimeoutError):
            raise DoorError(Code.INTERNAL) from None

    async def tunnel(self, host: str, tls: ssl.SSLContext) -> Connection:
        """A TLS 1.3 connection to ``host``, end to end through the gateway; raises :class:`DoorError`.

        Without TLS for the reserved name ``ollama`` and no other: it stands for the host's own loopback.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                return await self._tunnel(host, tls)
        except (OSError, ssl.SSLError, HttpError, TimeoutError):
            raise DoorError(Code.CHANNEL_UNREACHABLE) from None

    async def _tunnel(self, host: str, tls: ssl.SSLContext) -> Connection:
        plain = await self._knock(f"{host}:443")
        try:
            _check((await plain.request("CONNECT", f"{host}:443")).status)
            if host == OLLAMA_HOST:
                return Connection.over(plain.reader, plain.writer, OLLAMA_NAME)
            return await _upgrade(plain, host, tls)
        except BaseException:
            plain.writer.transport.abort()
            raise

    async def _knock(self, host: str) -> Connection:
        """A connection to the door, which is away for a moment while the gateway restarts. The caller bounds time."""
        while True:
            try:
                return await Connection.unix(self.path, host)
            except ConnectFailedError:
                await asyncio.sleep(KNOCK_SECONDS)

    async def _call(
        self, method: str, target: str, body: bytes = b"", *, seconds: float = CALL_SECONDS, heal: bool = True
    ) -> bytes:
        loop = asyncio.get_running_loop()
        until = loop.time() + (HEAL_SECONDS if heal else 0)
        while True:
            try:
                return (await self._once(method, target, body, seconds))[1]
            except (HttpError, TimeoutError):
                if loop.time() >= until:
                    raise DoorError(Code.INTERNAL) from None
                await asyncio.sleep(RETRY_SECONDS)

    async def _once(
        self, method: str, target: str, body: bytes, seconds: float, most: int = MAX_ANSWER
    ) -> tuple[int, bytes]:
        connection = self._calls.pop() if self._calls else None
        if connection is not None and not connection.reusable:
            connection.writer.transport.abort()
            connection = None
        try:
            if connection is None:
                connection = await Connection.unix(self.path)
                self._there = True
            async with asyncio.timeout(seconds):
                response = await connection.request(method, target, body=body)
                answer = await response.read(most)
        except BaseException as error:
            if isinstance(error, ConnectFailedError | ClosedError):
                self._mourn()
            if connection is not None:
                connection.writer.transport.abort()
            raise
        if connection.reusable and not self._calls:
            self._calls.append(connection)
        else:
            connection.writer.close()
        if response.status == GONE:
            raise GoneError(Code.INTERNAL, GONE)
        if response.status >= 400:
            raise DoorError(Code.INTERNAL, response.status)
        return response.status, answer

    @staticmethod
    def _read(answer: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(answer)
        except ShapeError:
            raise DoorError(Code.INTERNAL) from None


def _check(status: int) -> None:
    if status == 403:
        raise DoorError(Code.HOST_NOT_ALLOWED)
    if status != 200:
        raise DoorError(Code.CHANNEL_UNREACHABLE, status)


async def _upgrade(plain: Connection, host: str, tls: ssl.SSLContext) -> Connection:
    """TLS inside the tunnel. New streams, because a StreamReader keeps the transport it was born with."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = await loop.start_tls(plain.writer.transport, protocol, tls, server_hostname=host)
    if transport is None:
        raise ConnectionAbortedError
    protocol.connection_made(transport)
    return Connection.over(reader, asyncio.StreamWriter(transport, protocol, reader, loop), host)
