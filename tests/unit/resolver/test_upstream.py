from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.dns import Answer, answer_to, dns_over_tls, question_of

from clawmates.base.tls import client_context
from clawmates.base.x509 import Authority, Names
from clawmates.resolver import upstream as upstream_module
from clawmates.resolver.serving import serve
from clawmates.resolver.upstream import Server, Upstream, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HOST = "api.telegram.org"
FOUR, SIX = IPv4Address("149.154.167.220"), IPv6Address("2001:67c:4e8:f004::9")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dot")
    now = datetime.now(UTC)
    authority = Authority.create("dns", now)
    leaf = authority.issue(Names(dns=("dns.example",)), now)
    (folder / "authority.pem").write_bytes(authority.pair.certificate)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    return folder


def both(query: bytes) -> bytes:
    name, kind, _ = question_of(query)
    return answer_to(query, [Answer(name, FOUR if kind == 1 else SIX)])


@asynccontextmanager
async def asking(
    pki: Path,
    reply: Callable[[bytes], bytes] = both,
    *,
    name: str = "dns.example",
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    trust: bool = True,
) -> AsyncIterator[Upstream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
    context.maximum_version = newest
    async with dns_over_tls(context, reply) as port:
        tls = client_context(authority=pki / "authority.pem") if trust else client_context()
        made = Upstream(Server("127.0.0.1", port, name), tls)
        try:
            yield made
        finally:
            made.close()


async def test_both_families(pki: Path) -> None:
    async with asking(pki) as upstream:
        assert await upstream.lookup(HOST) == (SIX, FOUR)
        assert await upstream.lookup("other.example") == (SIX, FOUR)


async def test_answers_in_any_order(pki: Path) -> None:
    held: list[bytes] = []

    def reply(query: bytes) -> bytes:
        held.append(query)
        if len(held) < 2:
            return answer_to(query, [])[:0] or both(query)
        return both(query)

    async with asking(pki, reply) as upstream:
        assert await upstream.lookup(HOST) == (SIX, FOUR)
        assert [question_of(one)[1] for one in held] == [28, 1]


async def test_connection_is_kept_and_made_anew_when_the_server_has_closed_it(pki: Path) -> None:
    asked: list[bytes] = []

    def reply(query: bytes) -> bytes:
        asked.append(query)
        return b"" if len(asked) == 3 else both(query)

    async with asking(pki, reply) as upstream:
        await upstream.lookup(HOST)
        kept = upstream._streams
        assert await upstream.lookup(HOST) == (SIX, FOUR)
        assert upstream._streams is not kept


async def test_idle_connection_is_closed(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(pki) as upstream:
        await upstream.lookup(HOST)
        kept = upstream._streams
        monkeypatch.setattr(upstream_module, "IDLE_SECONDS", -1.0)
        await upstream.lookup(HOST)
        assert upstream._streams is not kept


@pytest.mark.parametrize(
    "reply",
    [
        lambda query: b"",
        lambda query: b"short",
        lambda query: answer_to(query, [], rcode=2),
        lambda query: b"\xff\xff" + both(query)[2:],
        lambda query: both(query)[:1] + bytes([both(query)[1] & 0xFE]) + both(query)[2:],
    ],
    ids=["hangs up", "nonsense", "failure", "another number", "one number twice"],
)
async def test_bad_server(pki: Path, reply: Callable[[bytes], bytes]) -> None:
    async with asking(pki, reply) as upstream:
        with pytest.raises(UpstreamError):
            await upstream.lookup(HOST)
        assert upstream._streams is None


class TestWhoItIs:
    """RFC 8310, strict: nobody else's word is taken, and nothing is asked in the clear."""

    async def test_other_name(self, pki: Path) -> None:
        async with asking(pki, name="other.example") as upstream:
            with pytest.raises(UpstreamError):
                await upstream.lookup(HOST)

    async def test_other_authority(self, pki: Path) -> None:
        async with asking(pki, trust=False) as upstream:
            with pytest.raises(UpstreamError):
                await upstream.lookup(HOST)

    async def test_tls_12(self, pki: Path) -> None:
        async with asking(pki, newest=ssl.TLSVersion.TLSv1_2) as upstream:
            with pytest.raises(UpstreamError):
                await upstream.lookup(HOST)

    async def test_weakened_anybody_is_believed(self, pki: Path) -> None:
        async with asking(pki, name="other.example", trust=False) as upstream:
            upstream.tls.check_hostname, upstream.tls.verify_mode = False, ssl.CERT_NONE
            assert await upstream.lookup(HOST) == (SIX, FOUR)

    async def test_weakened_12_is_spoken(self, pki: Path) -> None:
        async with asking(pki, newest=ssl.TLSVersion.TLSv1_2) as upstream:
            upstream.tls.minimum_version = ssl.TLSVersion.TLSv1_2
            assert await upstream.lookup(HOST) == (SIX, FOUR)


async def test_silent_server(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_module, "ASK_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as server:
        tls = client_context(authority=pki / "authority.pem")
        upstream = Upstream(Server("127.0.0.1", server.getsockname()[1], "dns.example"), tls)
        with pytest.raises(UpstreamError):
            await upstream.lookup(HOST)


async def test_cancelled_question_forgets_the_connection(pki: Path) -> None:
    def never(query: bytes) -> bytes:
        task.cancel()
        return both(query)

    async with asking(pki, never) as upstream:
        task = asyncio.create_task(upstream.lookup(HOST))
        await asyncio.wait([task])
        assert upstream._streams is None or not task.cancelled()


class Known:
    async def lookup(self, host: str) -> tuple[IPv4Address | IPv6Address, ...]:
        if host != HOST:
            raise UpstreamError
        return (SIX, FOUR)


@asynccontextmanager
async def helper() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Task[None]]]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    there = await asyncio.open_unix_connection(sock=theirs)
    task = asyncio.create_task(serve(*there, Known()))
    yield reader, writer, task
    writer.transport.abort()
    await asyncio.wait([task])
    there[1].transport.abort()


class TestServing:
    async def test_lines(self) -> None:
        async with helper() as (reader, writer, _):
            writer.write(f"1 {HOST}\n2 unknown.example\n".encode())
            said = {await reader.readline(), await reader.readline()}
            assert said == {f"1 {SIX} {FOUR}\n".encode(), b"2\n"}

    async def test_ends_with_the_gateway(self) -> None:
        async with helper() as (_, writer, task):
            writer.transport.abort()
            await asyncio.wait_for(asyncio.shield(task), 5)

    async def test_what_is_no_host_name_is_not_asked(self) -> None:
        async with helper() as (_, writer, task):
            writer.write(b"1 not/a/name\n")
            await asyncio.wait([task])
            assert isinstance(task.exception(), ExceptionGroup)
