from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http import server
from clawmates.base.http.client import ClosedError, ConnectFailedError, Connection, HttpError, TooLargeError
from clawmates.base.http.server import MAX_BODY, Peer, Reply, Request, Stream, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    Handle = Callable[[Request, Peer], Awaitable[Reply]]

SECONDS = 5


@dataclass(frozen=True, slots=True)
class Note:
    text: str


async def echo(request: Request, peer: Peer) -> Reply:
    if request.path == "/note":
        return Reply.json(request.json(Note))
    if request.path == "/boom":
        raise RuntimeError("a secret")
    if request.path == "/big":
        return Reply(200, b"x" * 4_000_000)
    if request.path == "/nothing":
        return Reply()
    return Reply.json({"method": request.method, "query": request.query("after"), "uid": peer.uid})


async def tunnel(request: Request, _peer: Peer, stream: Stream) -> Reply | None:
    if request.target != "good:443":
        return Reply.error(403, "no")
    early = stream.accept()
    stream.writer.write(early or await stream.reader.read(100))
    return None


@pytest.fixture
def path() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="cm-")
    yield str(Path(folder) / "s")
    shutil.rmtree(folder)


@asynccontextmanager
async def serving(path: str, *, handle: Handle = echo, allowed: bool = True) -> AsyncIterator[set[asyncio.Task[None]]]:
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer, handle=handle, connect=tunnel, allowed=lambda peer: allowed)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(run(reader, writer)))

    listener = await asyncio.start_unix_server(connected, path)
    try:
        yield tasks
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def saying(path: str, answer: bytes, *, stay: bool = False) -> AsyncIterator[None]:
    """A server that answers every first bytes with the same."""

    gone = asyncio.Event()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        if stay:
            await reader.read(1000)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        gone.set()

    async with await asyncio.start_unix_server(run, path), asyncio.timeout(SECONDS):
        yield
        await gone.wait()


async def raw(path: str, data: bytes) -> bytes:
    """What a server says to these bytes, until it closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    return answer


class TestTogether:
    async def test_many_requests_on_one_connection(self, path: str) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            for method in ("GET", "PUT", "DELETE", "POST"):
                answer = await connection.request(method, "/x?other=1&after=7")
                expected = b'{"method":"%s","query":"7","uid":%d}' % (method.encode(), os.geteuid())
                assert (answer.status, await answer.read(1000)) == (200, expected)
                assert connection.reusable
            await connection.close()

    async def test_bodies(self, path: str) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            answer = await connection.request("POST", "/note", body='{"text":"grüß"}'.encode())
            assert await answer.read(1000) == '{"text":"grüß"}'.encode()
            answer = await connection.request("POST", "/note", body=b'{"text":"%s"}' % (b"x" * 200_000))
            assert len(await answer.read(MAX_BODY)) == 200_011
            answer = await connection.request("GET", "/nothing")
            assert (answer.status, await answer.read(10)) == (204, b"")
            await connection.close()

    async def test_connect(self, path: str) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            refused = await connection.request("CONNECT", "bad:443")
            assert (refused.status, await refused.read(100)) == (403, b'{"error":{"code":"no"}}')
            assert (await connection.request("CONNECT", "good:443")).status == 200
            assert connection.leftover() == b""
            connection.writer.write(b"opaque")
            assert await connection.reader.read() == b"opaque"
            await connection.close()

    async def test_early_bytes(self, path: str) -> None:
        async with serving(path):
            answer = await raw(path, b"CONNECT good:443 HTTP/1.1\r\nHost: x\r\n\r\nearly")
            assert answer.endswith(b"\r\n\r\nearly")

    async def test_leftover(self, path: str) -> None:
        async with saying(path, b"HTTP/1.1 200 OK\r\n\r\nfirst words"):
            connection = await Connection.unix(path)
            await connection.request("CONNECT", "x:443")
            assert connection.leftover() == b"first words"
            await connection.close()


class TestServer:
    async def test_stranger_gets_nothing(self, path: str) -> None:
        async with serving(path, allowed=False):
            assert await raw(path, b"") == b""

    @pytest.mark.parametrize(
        ("body", "status"), [(b'{"text":1}', 400), (b"{", 400), (b"", 400), (b'{"text":"a","more":1}', 400)]
    )
    async def test_malformed_body(self, path: str, body: bytes, status: int) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            answer = await connection.request("POST", "/note", body=body)
            assert (answer.status, await answer.read(100)) == (status, b'{"error":{"code":"malformed"}}')
            assert connection.reusable
            await connection.close()

    async def test_failing_handler_says_place_and_no_text(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            answer = await connection.request("GET", "/boom")
            assert (answer.status, await answer.read(100)) == (500, b'{"error":{"code":"internal"}}')
            await connection.close()
        said = capsys.readouterr().err
        assert said.startswith("request failed: RuntimeError at test_http.py:")
        assert "secret" not in said

    @pytest.mark.parametrize(
        "nonsense",
        [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000 + b"\r\n\r\n"],
    )
    async def test_nonsense_is_answered_and_closed(self, path: str, nonsense: bytes) -> None:
        async with serving(path):
            answer = await raw(path, nonsense)
            assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
            assert answer.endswith(b'{"error":{"code":"malformed"}}')

    async def test_too_large_a_body(self, path: str) -> None:
        async with serving(path):
            head = b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
            answer = await raw(path, head + b"x" * (MAX_BODY + 1))
            assert answer.startswith(b"HTTP/1.1 413")
            assert answer.endswith(b'{"error":{"code":"too-large"}}')

    async def test_head_has_no_body(self, path: str) -> None:
        async with serving(path):
            answer = await raw(path, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer.endswith(b"\r\n\r\n")
            assert b"Content-Length: " in answer

    async def test_pipelined_requests(self, path: str) -> None:
        async with serving(path):
            one = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
            last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert (await raw(path, one * 3 + last)).count(b"HTTP/1.1 204") == 4

    async def test_connect_where_there_is_none(self, path: str) -> None:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader, writer, handle=echo, allowed=lambda peer: True)

        async with await asyncio.start_unix_server(run, path):
            connection = await Connection.unix(path)
            assert (await connection.request("CONNECT", "good:443")).status == 405
            await connection.close()

    @pytest.mark.parametrize(
        ("bound", "sent"),
        [
            ("IDLE_SECONDS", b""),
            ("HEAD_SECONDS", b"GET / HT"),
            ("BODY_SECONDS", b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"),
        ],
    )
    async def test_slow_senders_are_cut(
        self, path: str, bound: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, bound, 0.05)
        async with serving(path):
            assert await raw(path, sent) == b""

    async def test_a_byte_now_and_then_does_not_help(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
        async with serving(path) as tasks:
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b"G")
            async with asyncio.timeout(SECONDS):
                while not tasks or not all(task.done() for task in tasks):
                    writer.write(b"E")
                    await asyncio.wait(tasks or {asyncio.create_task(asyncio.sleep(0))}, timeout=0.01)
            writer.close()

    async def test_reader_that_does_not_read_is_cut(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "SEND_SECONDS", 0.05)
        monkeypatch.setattr(server, "CLOSE_SECONDS", 0.05)
        async with serving(path) as tasks:
            reader, writer = await asyncio.open_unix_connection(path, limit=1024)
            writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readexactly(12)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            _, waiting = await asyncio.wait(tasks, timeout=SECONDS)
            assert not waiting
            writer.transport.abort()

    async def test_peer_that_leaves_in_the_middle(self, path: str) -> None:
        async with serving(path) as tasks:
            for sent in (b"", b"GET / HT", b"POST /note HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"):
                _, writer = await asyncio.open_unix_connection(path)
                writer.write(sent)
                writer.close()
                await writer.wait_closed()
            async with asyncio.timeout(SECONDS):
                while len(tasks) < 3:
                    await raw(path, b"nonsense\r\n\r\n")
                await asyncio.wait(tasks)
            assert all(task.exception() is None for task in tasks)

    async def test_cancelled_in_a_long_poll(self, path: str) -> None:
        asked = asyncio.Event()

        async def wait(_request: Request, _peer: Peer) -> Reply:
            asked.set()
            await asyncio.Event().wait()
            return Reply()

        async with serving(path, handle=wait) as tasks:
            connection = await Connection.unix(path)
            asking = asyncio.create_task(connection.request("GET", "/"))
            await asked.wait()
            for task in tasks:
                task.cancel()
            with pytest.raises(ClosedError):
                await asyncio.wait_for(asking, SECONDS)
            await connection.close()


class TestClient:
    async def test_nobody_there(self, path: str) -> None:
        with pytest.raises(ConnectFailedError):
            await Connection.unix(path)
        with pytest.raises(ConnectFailedError):
            await Connection.tcp("127.0.0.1", 1, tls=None)

    async def test_over_tcp(self) -> None:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
            writer.close()

        async with await asyncio.start_server(run, "127.0.0.1", 0) as listener:
            connection = await Connection.tcp("127.0.0.1", listener.sockets[0].getsockname()[1], tls=None)
            answer = await connection.request("GET", "/x", headers=[("Accept", "text/plain")])
            assert await answer.read(1000) == (
                b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\nAccept: text/plain\r\n\r\n"
            )
            assert not connection.reusable
            await connection.close()

    @pytest.mark.parametrize(
        "answer",
        [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"],
        ids=["nothing", "half a head", "only a foretaste"],
    )
    async def test_closed_before_the_head(self, path: str, answer: bytes) -> None:
        async with saying(path, answer):
            connection = await Connection.unix(path)
            with pytest.raises(ClosedError):
                await connection.request("GET", "/")
            assert not connection.reusable
            await connection.close()

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        ],
    )
    async def test_closed_within_the_body(self, path: str, answer: bytes) -> None:
        async with saying(path, answer):
            connection = await Connection.unix(path)
            response = await connection.request("GET", "/")
            with pytest.raises(ClosedError):
                await response.read(1000)
            await connection.close()

    @pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 100_000])
    async def test_nonsense(self, path: str, answer: bytes) -> None:
        async with saying(path, answer, stay=True):
            connection = await Connection.unix(path)
            with pytest.raises(HttpError):
                await connection.request("GET", "/")
            await connection.close()

    async def test_too_large(self, path: str) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            response = await connection.request("GET", "/big")
            with pytest.raises(TooLargeError):
                await response.read(1000)
            assert not connection.reusable
            await connection.close()

    async def test_request_that_cannot_be_said(self, path: str) -> None:
        async with serving(path):
            connection = await Connection.unix(path)
            with pytest.raises(HttpError) as caught:
                await connection.request("GET", "/a secret")
            assert "secret" not in f"{caught.value!r}{caught.value.__cause__}"
            await connection.close()
            again = await Connection.unix(path)
            assert (await again.request("GET", "/")).status == 200
            await again.close()

    async def test_foretaste_is_passed_over_and_chunks_come_singly(self, path: str) -> None:
        answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with saying(path, answer + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", stay=True):
            connection = await Connection.unix(path)
            response = await connection.request("GET", "/")
            assert [chunk async for chunk in response.chunks()] == [b"ab", b"c"]
            assert connection.reusable
            await connection.close()
