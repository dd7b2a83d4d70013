"""A TLS server that shows itself to each caller in another guise, and notes what the caller did."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clawmates.base.x509 import Authority, Names
from clawmates.proofs.net.weak import in_memory
from clawmates.proofs.world import Guise, Reaction

PUBLIC = (Guise.EXPIRED, Guise.WRONG_NAME, Guise.SELF_SIGNED, Guise.TLS12)
"""What a server out in the world may be."""
OURS = (*PUBLIC, Guise.OTHER_ROLE)
"""What one may be that stands in for a service of the platform."""
JUDGE_SECONDS = 20.0
"""Until whoever has shaken hands and says nothing is taken for silent."""
_LIFE = timedelta(days=2)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """A context for every guise of one server."""

    contexts: Mapping[Guise, ssl.SSLContext]

    @classmethod
    def of(cls, authority: Authority, names: Names, now: datetime, *, other: Names | None = None) -> Wardrobe:
        """Certificates of ``authority``, whom the callers trust; ``other`` are the names of another service of it."""
        stranger = Authority.create("nobody in particular", now)
        pairs = {
            Guise.GOOD: authority.issue(names, now, life=_LIFE),
            Guise.EXPIRED: authority.issue(names, now - 30 * _LIFE, life=_LIFE),
            Guise.WRONG_NAME: authority.issue(Names(dns=("wrong-name.invalid",), uri=names.uri), now, life=_LIFE),
            Guise.SELF_SIGNED: stranger.issue(names, now, life=_LIFE),
            Guise.TLS12: authority.issue(names, now, life=_LIFE),
        }
        if other is not None:
            pairs[Guise.OTHER_ROLE] = authority.issue(other, now, life=_LIFE)
        return cls({guise: _context(pair.certificate + pair.key, guise) for guise, pair in pairs.items()})


def _context(identity: bytes, guise: Guise) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    version = ssl.TLSVersion.TLSv1_2 if guise is Guise.TLS12 else ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = version
    context.num_tickets = 0
    return in_memory(context, identity)


async def _nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


@dataclass(slots=True)
class Masked:
    """While guises are waiting, each caller meets the next; without any, the good one, and ``serve`` answers."""

    wardrobe: Wardrobe
    serve: Serve = _nothing
    seen: dict[Guise, Reaction] = field(default_factory=dict)
    _waiting: list[Guise] = field(default_factory=list)
    _callers: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def begin(self, guises: Iterable[Guise]) -> None:
        """From now on callers meet these, then the good one; those that are connected are cut."""
        self.seen.clear()
        self._waiting = [*guises, Guise.GOOD]
        self.cut()

    @property
    def busy(self) -> bool:
        """Whether guises are still waiting for a caller."""
        return bool(self._waiting)

    async def done(self, seconds: float) -> Mapping[Guise, Reaction]:
        """What the callers did, once all guises were met or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
        return dict(self.seen)

    def end(self) -> None:
        """No guise waits any more."""
        self._waiting.clear()
        self.cut()

    def cut(self) -> None:
        """Ends all connections."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def take(self, sock: socket.socket) -> None:
        """One accepted connection."""
        task = asyncio.get_running_loop().create_task(self._meet(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def accept(self, listener: socket.socket) -> None:
        """Takes connections until cancelled. Owns ``listener``."""
        listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                sock, _ = await loop.sock_accept(listener)
                self.take(sock)

    def _next(self) -> Guise | None:
        """Two who call at once meet two guises; the good one comes when all others were met."""
        bad = [guise for guise in self._waiting if guise is not Guise.GOOD]
        self._callers += 1
        if bad:
            return bad[self._callers % len(bad)]
        return Guise.GOOD if self._waiting else None

    async def _meet(self, sock: socket.socket) -> None:
        guise = self._next()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=self.wardrobe.contexts[guise or Guise.GOOD]
            )
        except (OSError, EOFError) as error:
            self._note(guise, Reaction(shook=False, spoke=False, said=_reason(error)))
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._writers.add(writer)
        try:
            if guise is None:
                await self.serve(reader, writer)
            else:
                self._note(guise, await _listen(reader))
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _note(self, guise: Guise | None, reaction: Reaction) -> None:
        """The good guise is met when somebody spoke to it: a connection that is only kept warm says nothing."""
        if guise is None or (guise is Guise.GOOD and not reaction.spoke):
            return
        self.seen[guise] = reaction
        if guise in self._waiting:
            self._waiting.remove(guise)
        self._changed.set()


async def _listen(reader: asyncio.StreamReader) -> Reaction:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(JUDGE_SECONDS):
            if await reader.read(1):
                return Reaction(shook=True, spoke=True)
    return Reaction(shook=True, spoke=False, said="said nothing")


def _reason(error: BaseException) -> str:
    """OpenSSL's word for the alert that came, or that none came."""
    if isinstance(error, ssl.SSLError) and error.reason == "UNSUPPORTED_PROTOCOL":
        return "offers nothing older than 1.3"
    if isinstance(error, ssl.SSLError) and error.reason:
        words = error.reason.lower().replace("_", " ")
        return words.replace("tlsv1 alert ", "alert: ").replace("sslv3 alert ", "alert: ")
    return "hung up"


async def careless(masked: Masked, guises: Iterable[Guise]) -> Mapping[Guise, Reaction]:
    """What a client does in every guise that checks nothing and takes any version: the control."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    masked.begin(guises)
    for _ in range(2 * len(Guise)):
        if not masked.busy:
            break
        mine, theirs = socket.socketpair()
        masked.take(theirs)
        reader, writer = await asyncio.open_connection(sock=mine, ssl=context, server_hostname="anything")
        writer.write(b"hello")
        with suppress(OSError):
            await reader.read()
        writer.transport.abort()
    masked.end()
    return dict(masked.seen)
