"""A listener of this very process that does all that no listener of the platform may: the control."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from clawmates.base.x509 import Authority, Names
from clawmates.proofs.net.packets import End

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPBACK = "127.0.0.1"


def in_memory(context: ssl.SSLContext, identity: bytes) -> ssl.SSLContext:
    """Gives a context a certificate and key that lie in no file; the standard library loads them from files only."""
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, identity)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context


@asynccontextmanager
async def old_tls() -> AsyncIterator[End]:
    """Speaks TLS 1.2 and nothing newer."""
    pair = Authority.create("control", datetime.now(UTC)).issue(Names(dns=("localhost",)), datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    in_memory(context, pair.certificate + pair.key)
    server = await asyncio.start_server(_hang_up, LOOPBACK, 0, ssl=context)
    async with server:
        yield _end(server)


@asynccontextmanager
async def plain() -> AsyncIterator[End]:
    """Speaks without TLS, and repeats what it hears."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1 << 16))
        writer.close()

    server = await asyncio.start_server(repeat, LOOPBACK, 0)
    async with server:
        yield _end(server)


async def say(end: End, text: bytes) -> None:
    """Sends ``text`` in the clear and waits until it comes back."""
    reader, writer = await asyncio.open_connection(str(end.address), end.port)
    writer.write(text)
    await reader.read()
    writer.close()


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _end(server: asyncio.Server) -> End:
    host, port = server.sockets[0].getsockname()[:2]
    return End(ip_address(host), port)
