"""A DNS server's answers, for stand-ins: as bytes, and over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

QUESTION_AT = 12


@dataclass(frozen=True)
class Answer:
    """One record: an address, an alias (text), or raw bytes of an A record."""

    name: str
    value: IPv4Address | IPv6Address | str | bytes
    family: int = 1

    def encode(self) -> bytes:
        match self.value:
            case IPv4Address():
                kind, data = 1, self.value.packed
            case IPv6Address():
                kind, data = 28, self.value.packed
            case str():
                kind, data = 5, labels(self.value)
            case bytes():
                kind, data = 1, self.value
        fixed = kind.to_bytes(2, "big") + self.family.to_bytes(2, "big") + (60).to_bytes(4, "big")
        return labels(self.name) + fixed + len(data).to_bytes(2, "big") + data


def labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question_of(query: bytes) -> tuple[str, int, bytes]:
    """(name, kind, the question as it stands in the message)."""
    at, parts = QUESTION_AT, []
    while size := query[at]:
        parts.append(query[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(parts), int.from_bytes(query[at + 1 : at + 3], "big"), query[QUESTION_AT : at + 5]


def answer_to(query: bytes, records: Sequence[Answer], *, rcode: int = 0) -> bytes:
    """A whole reply to ``query``."""
    _name, _kind, question = question_of(query)
    counts = b"".join(part.to_bytes(2, "big") for part in (1, len(records), 0, 0))
    flags = (0x8180 | rcode).to_bytes(2, "big")
    return query[:2] + flags + counts + question + b"".join(record.encode() for record in records)


@asynccontextmanager
async def dns_over_tls(context: ssl.SSLContext, reply: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server on loopback whose ``reply`` makes whole messages from queries, empty to hang up; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                message = reply(query)
                if not message:
                    break
                writer.write(len(message).to_bytes(2, "big") + message)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
