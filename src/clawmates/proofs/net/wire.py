"""What one connection spoke, judged from its bytes in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawmates.proofs.net.hello import (
    ALERT,
    ALERTS,
    APPLICATION,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    HANDSHAKE,
    SERVER_HELLO,
    TLS_1_3,
    VERSION_NAMES,
    NotTlsError,
    Record,
    client_hello,
    messages,
    records,
    server_hello,
)


class Speech(StrEnum):
    """What a connection spoke."""

    TLS13 = "TLS 1.3"
    """From its first byte to its last, in both directions."""
    REFUSED = "TLS, refused"
    """A ClientHello, and no ServerHello: nothing was said."""
    OLDER = "TLS, older than 1.3"
    PLAIN = "not TLS"
    CONTINUED = "TLS, begun before"
    """A connection older than the capture, on which nothing but protected records was seen."""
    SILENT = "no byte"
    GAPPED = "bytes missing"
    """The capture did not see all of it."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The judgement on one connection."""

    speech: Speech
    name: str = ""
    """The server that the client asked for."""
    detail: str = ""


def judge(up: bytes, down: bytes) -> Wire:
    """``up`` is what the one who called said, ``down`` what was answered, each from its first byte."""
    if not up and not down:
        return Wire(Speech.SILENT)
    try:
        first, _ = records(up)
    except NotTlsError:
        return Wire(Speech.PLAIN, detail="the caller's bytes are no TLS records")
    try:
        second, _ = records(down)
        return _judge(first, second)
    except NotTlsError:
        return Wire(Speech.PLAIN, detail="bytes that are no TLS 1.3")


def judge_midway(up: bytes, down: bytes) -> Wire:
    """The same of a connection whose beginning was not seen: whether all that is left are protected records."""
    if not up and not down:
        return Wire(Speech.SILENT)
    try:
        found = (*records(up)[0], *records(down)[0])
    except NotTlsError:
        return Wire(Speech.GAPPED)
    if found and all(record.kind == APPLICATION for record in found):
        return Wire(Speech.CONTINUED)
    return Wire(Speech.GAPPED)


def _judge(up: tuple[Record, ...], down: tuple[Record, ...]) -> Wire:
    asked = [body for kind, body in _handshake(up) if kind == CLIENT_HELLO]
    if not asked:
        return Wire(Speech.PLAIN, detail="no ClientHello at the beginning")
    hello = client_hello(asked[0])
    chosen = [server_hello(body) for kind, body in _handshake(down) if kind == SERVER_HELLO]
    if not chosen:
        refused = all(record.kind in {ALERT, CHANGE_CIPHER_SPEC} for record in down) and not _after(up)
        return Wire(Speech.REFUSED if refused else Speech.PLAIN, hello.name, _alert(down) or _alert(up))
    if any(one.version != TLS_1_3 for one in chosen):
        versions = {VERSION_NAMES.get(one.version, f"version {one.version:#06x}") for one in chosen}
        return Wire(Speech.OLDER, hello.name, ", ".join(sorted(versions)))
    retried = chosen[0].retry
    if not _shaped(up, len(asked), 1 + retried) or not _shaped(down, len(chosen), 1 + retried):
        return Wire(Speech.PLAIN, hello.name, "records in an order that TLS 1.3 does not have")
    return Wire(Speech.TLS13, hello.name)


def _handshake(found: tuple[Record, ...]) -> tuple[tuple[int, bytes], ...]:
    return messages(b"".join(record.body for record in found if record.kind == HANDSHAKE))


def _after(found: tuple[Record, ...]) -> bool:
    return any(record.kind == APPLICATION for record in found)


def _alert(found: tuple[Record, ...]) -> str:
    """The first alert that was sent in the clear."""
    bodies = [record.body for record in found if record.kind == ALERT and len(record.body) == 2]
    return ALERTS.get(bodies[0][1], f"alert {bodies[0][1]}") if bodies else ""


def _shaped(found: tuple[Record, ...], hellos: int, most: int) -> bool:
    """Hellos in the clear, then nothing but protected records; alerts in the clear have two bytes and end it.

    The middle record that looks like a change of ciphers is TLS 1.3's own disguise (RFC 8446, appendix D.4).
    """
    if hellos > most:
        return False
    protected = False
    for record in found:
        match record.kind:
            case kind if kind == APPLICATION:
                protected = True
            case kind if kind == HANDSHAKE:
                if protected:
                    return False
            case kind if kind == CHANGE_CIPHER_SPEC:
                if record.body != b"\x01" or protected:
                    return False
            case _:
                if len(record.body) != 2:
                    return False
    return len(_handshake(found)) == hellos
