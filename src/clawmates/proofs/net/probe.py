"""Calls a TCP listener as a client of each age of TLS would, and as one without any."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.net.hello import (
    ALERT,
    ALERTS,
    HANDSHAKE,
    SERVER_HELLO,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    VERSION_NAMES,
    NotTlsError,
    messages,
    offer,
    records,
    server_hello,
)

if TYPE_CHECKING:
    from clawmates.proofs.net.packets import End

OLD = (TLS_1_0, TLS_1_1, TLS_1_2)
PROTOCOL_VERSION = ALERTS[70]
ANSWER_SECONDS = 15.0
_PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_ENOUGH = 1 << 14


@dataclass(frozen=True, slots=True)
class Answer:
    """What a listener answered to one offer."""

    offered: str
    said: str
    """A version that it chose, an alert, ``closed``, ``silent``, or ``speaks without TLS``."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a listener answered to all of them."""

    answers: tuple[Answer, ...]

    @property
    def objections(self) -> tuple[str, ...]:
        """What is wrong with a listener that should speak TLS 1.3 and nothing else."""
        wanted = {VERSION_NAMES[TLS_1_3]: VERSION_NAMES[TLS_1_3]} | {
            VERSION_NAMES[old]: PROTOCOL_VERSION for old in OLD
        }
        wrong = [
            f"offered {one.offered}, it answers: {one.said}"
            for one in self.answers
            if one.said != wanted.get(one.offered, one.said)
        ]
        return (*wrong, *(f"it {one.said}" for one in self.answers if one.said == SPEAKS))


SPEAKS, CLOSED = "speaks without TLS", "closed"


async def probe(end: End, name: str = "", before: bytes = b"") -> Answers:
    """Every offer on a connection of its own, behind ``before``; none gets as far as a secret."""
    offers = [(VERSION_NAMES[version], offer(version, os.urandom(32), name)) for version in (*OLD, TLS_1_3)]
    answers = [Answer(what, read_answer(await _ask(end, before + hello))) for what, hello in offers]
    plain = await _ask(end, before + _PLAIN)
    return Answers((*answers, Answer("no TLS", SPEAKS if _speaks(plain) else read_answer(plain))))


def read_answer(data: bytes | None) -> str:
    """What the first bytes of an answer mean; ``None`` is none within :data:`ANSWER_SECONDS`."""
    if data is None:
        return "silent"
    if not data:
        return CLOSED
    try:
        found, _ = records(data)
        for kind, body in messages(b"".join(one.body for one in found if one.kind == HANDSHAKE)):
            if kind == SERVER_HELLO:
                version = server_hello(body).version
                return VERSION_NAMES.get(version, f"version {version:#06x}")
    except NotTlsError:
        return "something that is no TLS"
    alert = next((one.body for one in found if one.kind == ALERT and len(one.body) == 2), None)
    return "no hello" if alert is None else ALERTS.get(alert[1], f"alert {alert[1]}")


def _speaks(data: bytes | None) -> bool:
    """Whether a request without TLS got an answer without TLS."""
    if not data:
        return False
    try:
        records(data)
    except NotTlsError:
        return True
    return False


async def _ask(end: End, said: bytes) -> bytes | None:
    """The answer up to its end, or what can be judged of it; ``None`` for silence."""
    data = b""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(str(end.address), end.port)
            try:
                writer.write(said)
                while len(data) < _ENOUGH and (piece := await reader.read(_ENOUGH)):
                    data += piece
                    if read_answer(data) not in {"no hello", CLOSED}:
                        break
            finally:
                writer.transport.abort()
    except TimeoutError:
        return data or None
    except OSError:
        with suppress(NotTlsError):
            return data
    return data
