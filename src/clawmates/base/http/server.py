"""A small HTTP/1.1 server for unix sockets: routes, bounded JSON bodies, peer credentials.

It exists beside the well-known frameworks because the gateway's door must upgrade CONNECT to raw bytes and know
the peer's uid, in a process that stays small.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import h11

from clawmates.base.hardening import place_of
from clawmates.base.shape import ShapeError, decode_json, encode_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    T = TypeVar("T")

CHUNK = 16 * 1024
MAX_BODY = 256 * 1024
HEAD_SECONDS = 10.0
"""For a whole request head, from its first byte."""
BODY_SECONDS = 10.0
SEND_SECONDS = 10.0
CLOSE_SECONDS = 1.0
IDLE_SECONDS = 120.0
"""For the first byte of the next request."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a unix socket (SO_PEERCRED, unix(7))."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request; ``target`` is the raw request target."""

    method: str
    target: str
    body: bytes
    upgrade: str = ""
    """The protocol that the peer wants to change to (RFC 9110 §7.8), if any."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def query(self, name: str) -> str:
        """The value of one query parameter, or an empty string."""
        for pair in self.target.partition("?")[2].split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return value
        return ""

    def json(self, cls: type[T]) -> T:
        """The body as a ``cls``; raises :class:`~clawmates.base.shape.ShapeError`."""
        return decode_json(cls, self.body, MAX_BODY)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response."""

    status: int = 204
    body: bytes = b""
    kind: str = "application/json"

    @classmethod
    def json(cls, value: object, status: int = 200) -> Reply:
        """A JSON body from a dataclass or plain value."""
        return cls(status, encode_json(value))

    @classmethod
    def error(cls, status: int, code: str) -> Reply:
        """``{"error": {"code": …}}``."""
        return cls(status, encode_json({"error": {"code": code}}))


class Upgrade(Protocol):
    """Answers a CONNECT or a wish to upgrade: a reply, or ``None`` after it has taken the streams over."""

    async def __call__(self, request: Request, peer: Peer, stream: Stream, /) -> Reply | None:
        """Calls ``stream.accept()`` and relays until it is over, or returns a refusal."""
        ...


@dataclass(slots=True)
class Stream:
    """The raw connection behind a CONNECT request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _state: h11.Connection

    def accept(self) -> bytes:
        """Says 200; from here on the bytes are the caller's. Returns those that came early."""
        self.writer.write(self._state.send(h11.Response(status_code=200, headers=[])) or b"")
        return self._state.trailing_data[0]

    def switch(self, protocol: str) -> bytes:
        """Says 101 to a request that asked for ``protocol``; the rest as in :meth:`accept`."""
        headers = [("Connection", "upgrade"), ("Upgrade", protocol)]
        self.writer.write(self._state.send(h11.InformationalResponse(status_code=101, headers=headers)) or b"")
        return self._state.trailing_data[0]


def peer_of(writer: asyncio.StreamWriter) -> Peer:
    """The credentials of a unix socket's peer."""
    sock: socket.socket = writer.get_extra_info("socket")
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(pid, uid, gid)


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    handle: Callable[[Request, Peer], Awaitable[Reply]],
    connect: Upgrade | None = None,
    allowed: Callable[[Peer], bool],
    most: Callable[[str, str], int] = lambda _method, _target: MAX_BODY,
) -> None:
    """Serves one connection until either side is done; refuses peers that ``allowed`` does not know.

    ``most`` says how many bytes a body may have, by method and target.

    A handler's :class:`ShapeError` is answered 400; any other error 500 with its type and place on stderr.
    Slow senders and slow readers are cut off, :data:`CLOSE_SECONDS` after a cancellation too.
    """
    state = h11.Connection(h11.SERVER)
    try:
        peer = peer_of(writer)
        if not allowed(peer):
            return
        while True:
            request = await _receive(reader, state, most)
            if request is None:
                return
            reply = await _answer(request, peer, Stream(reader, writer, state), handle, connect)
            if reply is None:
                return
            await _send(state, writer, reply, head_only=request.method == "HEAD")
            if state.our_state is not h11.DONE or state.their_state is not h11.DONE:
                return
            state.start_next_cycle()
            del request, reply  # a connection that waits for its next request holds nothing of the last
    except h11.RemoteProtocolError as error:
        if state.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            with suppress(OSError, h11.ProtocolError):
                status = error.error_status_hint
                await _send(state, writer, Reply.error(status, "too-large" if status == 413 else "malformed"))
    except (OSError, h11.ProtocolError):  # TimeoutError is an OSError
        return
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Sends what is waiting, if the peer takes it soon; cuts otherwise."""
    try:
        writer.close()
        async with asyncio.timeout(CLOSE_SECONDS):
            await writer.wait_closed()
    except OSError:
        return
    finally:
        writer.transport.abort()


async def _answer(
    request: Request,
    peer: Peer,
    stream: Stream,
    handle: Callable[[Request, Peer], Awaitable[Reply]],
    connect: Upgrade | None,
) -> Reply | None:
    try:
        if request.method == "CONNECT" or (connect and request.upgrade):
            return await connect(request, peer, stream) if connect else Reply.error(405, "method-not-allowed")
        return await handle(request, peer)
    except ShapeError:
        return Reply.error(400, "malformed")
    except (OSError, h11.ProtocolError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line: say type and place, drop the text
        sys.stderr.write(f"request failed: {place_of(error)}\n")
        return Reply.error(500, "internal")


async def _receive(
    reader: asyncio.StreamReader, state: h11.Connection, most: Callable[[str, str], int]
) -> Request | None:
    """The next whole request; ``None`` when the peer is gone.

    Raises ``TimeoutError`` for one who sends too slowly, ``h11.RemoteProtocolError`` for nonsense and for too much.
    """
    if not state.trailing_data[0]:
        async with asyncio.timeout(IDLE_SECONDS):
            state.receive_data(await reader.read(CHUNK))
    async with asyncio.timeout(HEAD_SECONDS):
        event = await _next(reader, state)
    if not isinstance(event, h11.Request):
        return None
    method, target, body = event.method.decode(), event.target.decode("latin-1"), bytearray()
    limit = most(method, target)
    async with asyncio.timeout(BODY_SECONDS):
        while isinstance(piece := await _next(reader, state), h11.Data):
            body += piece.data
            if len(body) > limit:
                raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
    if not isinstance(piece, h11.EndOfMessage):
        return None
    upgrade = next((value.decode("latin-1") for name, value in event.headers if name == b"upgrade"), "")
    return Request(method, target, bytes(body), upgrade)


async def _next(reader: asyncio.StreamReader, state: h11.Connection) -> object:
    while (event := state.next_event()) is h11.NEED_DATA:
        state.receive_data(await reader.read(CHUNK))
    return event


async def _send(state: h11.Connection, writer: asyncio.StreamWriter, reply: Reply, *, head_only: bool = False) -> None:
    headers = [("Content-Length", str(len(reply.body)))] if reply.status != 204 else []
    if reply.body:
        headers.append(("Content-Type", reply.kind))
    out = state.send(h11.Response(status_code=reply.status, headers=headers)) or b""
    if reply.body and not head_only:
        out += state.send(h11.Data(data=reply.body)) or b""
    writer.write(out + (state.send(h11.EndOfMessage()) or b""))
    async with asyncio.timeout(SEND_SECONDS):
        await writer.drain()
