from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from clawmates.base.http.client import Connection
from clawmates.base.secret import Secret
from clawmates.wire.vault import Redemption, VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError, redeem, speaks_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REDEMPTION = Redemption(bot="b1", ticket=Secret("a-ticket"))
ITEM = {"name": "prompt", "version": 1, "hosts": [], "value": "be kind"}


@asynccontextmanager
async def vault_answering(folder: Path, answer: bytes) -> AsyncIterator[tuple[Connection, list[bytes]]]:
    """A peer on a unix socket that answers anything with ``answer`` and closes."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
        asked.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()

    path = str(folder / "v")
    async with await asyncio.start_unix_server(serve, path):
        connection = await Connection.unix(path, "vault")
        try:
            yield connection, asked
        finally:
            await connection.close()


def http(status: int, body: object) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(raw), raw)


async def test_redeem_shows_the_ticket_and_returns_the_items(tmp_path: Path) -> None:
    async with vault_answering(tmp_path, http(200, {"items": [ITEM]})) as (connection, asked):
        (item,) = (await redeem(connection, REDEMPTION)).items
    assert (item.name, item.version, item.hosts, item.value.reveal()) == ("prompt", 1, (), "be kind")
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/redeem HTTP/1.1\r\n")
    assert b"a-ticket" not in head
    assert json.loads(body) == {"bot": "b1", "ticket": "a-ticket"}
    assert "be kind" not in repr(item)


@pytest.mark.parametrize("refusal", list(VaultRefusal))
async def test_a_refusal_is_raised_as_itself(tmp_path: Path, refusal: VaultRefusal) -> None:
    async with vault_answering(tmp_path, http(403, {"error": {"code": refusal.value}})) as (connection, _):
        with pytest.raises(VaultError) as caught:
            await redeem(connection, REDEMPTION)
    assert caught.value.refusal is refusal


@pytest.mark.parametrize(
    "answer",
    [
        http(403, {"error": {"code": "something else"}}),
        http(500, {"error": {"code": "internal"}}),
        http(502, b"<html>"),
        http(200, b"not json"),
        http(200, {"items": [ITEM | {"name": "diary"}]}),
        http(200, b'"' + b"x" * (3 << 20) + b'"'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
)
async def test_anything_else_is_no_answer_and_is_not_quoted(tmp_path: Path, answer: bytes) -> None:
    async with vault_answering(tmp_path, answer) as (connection, _):
        with pytest.raises(VaultUnreachableError) as caught:
            await redeem(connection, REDEMPTION)
    assert str(caught.value) == ""


async def test_a_peer_without_a_certificate_speaks_as_nobody(tmp_path: Path) -> None:
    async with vault_answering(tmp_path, b"") as (connection, _):
        assert not speaks_as(connection, "clawmates://local/vault/vault")
        with pytest.raises(VaultUnreachableError):
            await redeem(connection, REDEMPTION)
