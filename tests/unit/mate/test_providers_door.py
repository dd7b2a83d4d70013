"""The one way out that is not TLS: the reserved name ``ollama``, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clawmates.base.tls import client_context
from clawmates.mate import door as door_module
from clawmates.mate.door import Door
from clawmates.mate.errors import DoorError
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.ollama import Ollama
from clawmates.mate.web import Web

TLS_HANDSHAKE = 0x16
LINES = (
    b'{"message":{"role":"assistant","content":"yes"},"done":false}\n'
    b'{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}\n'
)


@dataclass
class Gateway:
    """Accepts every CONNECT, keeps what comes behind it, and answers like Ollama."""

    path: str
    asked: list[bytes] = field(default_factory=list)
    behind: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            first = await reader.read(1 << 16)
            self.behind.append(first)
            if first.startswith(b"POST"):
                writer.write(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(LINES), LINES)
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Gateway]:
    there = Gateway(str(folder / "door.sock"))
    listener = await asyncio.start_unix_server(there.serve, there.path)
    async with listener:
        yield there


async def test_ollama_is_asked_in_the_clear_by_the_name_it_answers_to(tmp_path: Path) -> None:
    async with gateway(tmp_path) as there:
        provider = Ollama(Web(Door(there.path), client_context()))
        answer = [piece async for piece in provider.answer(Prompt("qwen3:8b", "", (), 5))]
    assert answer == [Delta("yes"), Finished(Stop.COMPLETE, 3, 1)]
    assert there.asked == [b"CONNECT ollama:443 HTTP/1.1"]
    (request,) = there.behind
    assert request.startswith(b"POST /api/chat HTTP/1.1\r\n")
    assert b"\r\nHost: localhost\r\n" in request


@pytest.mark.parametrize("host", ["vault", "api.openai.com", "ollama.com", "ollama.example", "xollama", "localhost"])
async def test_nobody_else_is_sent_a_byte_that_is_not_tls(tmp_path: Path, host: str) -> None:
    async with gateway(tmp_path) as there:
        with pytest.raises(DoorError):
            await Door(there.path).tunnel(host, client_context())
    assert there.asked == [f"CONNECT {host}:443 HTTP/1.1".encode()]
    assert [first[0] for first in there.behind] == [TLS_HANDSHAKE]


async def test_the_test_above_would_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "OLLAMA_HOST", "api.openai.com")
    async with gateway(tmp_path) as there:
        connection = await Door(there.path).tunnel("api.openai.com", client_context())
        await connection.request("POST", "/v1/responses", body=b"words in the clear")
        await connection.close()
    assert b"words in the clear" in there.behind[0]
