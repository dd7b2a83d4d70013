"""A redirect is an answer like any other: nobody goes where it points, whoever wrote it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clawmates.base.http.client import Connection
from clawmates.mate.door import Door
from clawmates.mate.web import Web

HOST, ELSEWHERE = "api.example", "elsewhere.example"


@dataclass
class Redirecting:
    """Answers every request with a redirect; a door that tunnels to it in the clear."""

    path: str
    location: str
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = head.partition("Host: ")[2].partition("\r\n")[0]
        self.asked.append((host, head.split(" ")[1]))
        said = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {self.location}\r\nContent-Length: 0\r\n\r\n"
        writer.write(said.encode())
        await writer.drain()
        writer.close()


class PlainDoor(Door):
    """Tunnels without TLS, to see what would be sent."""

    async def tunnel(self, host: str, tls: ssl.SSLContext) -> Connection:
        return await Connection.unix(self.path, host)


@asynccontextmanager
async def redirecting(folder: Path, location: str) -> AsyncIterator[tuple[Redirecting, Web]]:
    there = Redirecting(str(folder / "door.sock"), location)
    listener = await asyncio.start_unix_server(there.serve, there.path)
    async with listener:
        web = Web(PlainDoor(there.path), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        yield there, web
        for warm in web._warm.values():
            for connection, _ in warm:
                await connection.close()


@pytest.mark.parametrize("location", [f"https://{ELSEWHERE}/taken", f"https://{HOST}/other", "/other"])
async def test_no_redirect_is_followed(tmp_path: Path, location: str) -> None:
    async with redirecting(tmp_path, location) as (there, web):
        async with web.request("POST", HOST, "/v1/responses", body=b"{}") as response:
            assert response.status == 307
            await response.read(100)
        assert there.asked == [(HOST, "/v1/responses")]
