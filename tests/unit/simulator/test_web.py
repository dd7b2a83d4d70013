"""The HTTP below the stand-ins, at its edges."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.simulator.model import Service
from clawmates.simulator.web import Connection, Exchange, Request, nursery

if TYPE_CHECKING:
    from clawmates.simulator.tls import Wire

TOKEN = "123456:" + "A" * 35
GET_ME = f"GET /bot{TOKEN}/getMe HTTP/1.1\r\nHost: api.telegram.org\r\n\r\n".encode()


class FakeWire:
    """Remembers what was written; hangs up when told."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.ended.set()

    abort_after_writing = close


async def test_requests_in_one_piece_are_answered_in_order(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        connection.writer.write(GET_ME * 3 + GET_ME.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answers = await connection.reader.read()
    while chunk := await connection.reader.read():
        answers += chunk
    assert answers.count(b"HTTP/1.1 200") == 4
    assert len(await bench.control.journal(Service.TELEGRAM, method="getMe")) == 4


async def test_a_client_that_asks_first_is_told_to_go_on(bench: Any) -> None:
    head = f"POST /bot{TOKEN}/getMe HTTP/1.1\r\nHost: api.telegram.org\r\nContent-Type: application/json\r\n"
    async with bench.connect(Service.TELEGRAM) as connection:
        connection.writer.write(head.encode() + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        connection.writer.write(b"{}")
        assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_slow_reader_gets_everything_in_the_end(bench: Any) -> None:
    text = " ".join(["y" * 100_000] * 30)
    async with bench.openai_response(input=text, stream=True) as response:
        # This client does not read yet: buffers are full, and the stand-in waits.
        (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", timeout=5)
        assert not call.answered
        body = await response.read(1 << 25)
    assert body.count(b"event: response.output_text.delta") == len(f"You said: {text} [1 message]".split())
    (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", finished=True, timeout=5)
    assert call.complete


async def test_a_defect_of_the_stand_in_cuts_the_connection_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(_request: Request, _exchange: Exchange) -> None:
        raise RuntimeError("somebody's message")

    wire = FakeWire()
    async with nursery() as tasks:
        connection = Connection(broken, tasks=tasks, clock=lambda: 0.0)
        connection.opened(_as_wire(wire), "TLSv1.3")
        connection.received(GET_ME)
        async with asyncio.timeout(1):
            await wire.ended.wait()
    said = capsys.readouterr().err
    assert said.startswith("stand-in failed: RuntimeError at test_web.py:")
    assert "somebody's message" not in said


async def test_a_client_that_leaves_cancels_its_handler() -> None:
    cancelled = asyncio.Event()

    async def waiting(_request: Request, _exchange: Exchange) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with nursery() as tasks:
        connection = Connection(waiting, tasks=tasks, clock=lambda: 0.0)
        connection.opened(_as_wire(FakeWire()), "TLSv1.3")
        connection.received(GET_ME)
        await asyncio.sleep(0)
        connection.lost()
        async with asyncio.timeout(1):
            await cancelled.wait()


async def test_a_nursery_hands_on_the_error_itself() -> None:
    async def fail() -> None:
        async with nursery() as tasks:
            tasks.start(asyncio.sleep(600))
            raise OSError("taken")

    with pytest.raises(OSError, match="taken"):
        await fail()


async def test_answers_are_json_with_a_length(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        response = await connection.request("GET", f"/bot{TOKEN}/getMe")
        body = await response.read(1 << 16)
    assert response.headers[b"content-type"] == b"application/json"
    assert int(response.headers[b"content-length"]) == len(body)
    assert json.loads(body)["ok"] is True


def _as_wire(fake: Any) -> Wire:
    wire: Wire = fake
    return wire
