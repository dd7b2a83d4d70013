"""A DNS server's side of DNS over TLS (RFC 7858), for a world whose names a trial decides."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from clawmates.resolver.message import A, MessageError
from clawmates.trials.egress_world import encode_record, read_question

NO_SUCH_NAME = 3


@dataclass(slots=True)
class Zone:
    """Who is where, at this moment; and who was asked for."""

    addresses: Mapping[str, IPv4Address]
    asked: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers until the client goes away or says something else."""
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                answer = self.answer(query)
                writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, OSError, MessageError):
            return

    def answer(self, query: bytes) -> bytes:
        """A whole reply; raises ``MessageError``."""
        name, kind, question = read_question(query)
        address = self.addresses.get(name)
        self.asked[name] += kind == A
        records = [encode_record(name, A, address.packed)] if address is not None and kind == A else []
        flags = 0x8180 | (NO_SUCH_NAME if address is None else 0)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)
