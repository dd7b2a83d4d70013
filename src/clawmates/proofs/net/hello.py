"""TLS as it looks from outside: records, and the two hellos (RFC 8446, sections 4.1 and 5.1).

Written a second time, apart from the gateway's own reader: what is judged must not be its own judge.
"""

from __future__ import annotations

from dataclasses import dataclass

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO = 1, 2
SERVER_NAME, SUPPORTED_GROUPS, SIGNATURES, SUPPORTED_VERSIONS, KEY_SHARE = 0, 10, 13, 43, 51
TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0301, 0x0302, 0x0303, 0x0304
VERSION_NAMES = {0x0300: "SSL 3.0", TLS_1_0: "TLS 1.0", TLS_1_1: "TLS 1.1", TLS_1_2: "TLS 1.2", TLS_1_3: "TLS 1.3"}
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    40: "handshake_failure",
    42: "bad_certificate",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    50: "decode_error",
    70: "protocol_version",
    80: "internal_error",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
}
MAX_RECORD = (1 << 14) + 256
"""Of a protected record's fragment; one byte more is no TLS 1.3."""
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that asks for a second ClientHello."""
_HEADER = 5


class NotTlsError(ValueError):
    """Bytes that are no such record, or no such hello."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it stood on the wire."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers."""

    versions: tuple[int, ...]
    name: str
    """The server it asks for, or empty."""


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a server chose."""

    version: int
    retry: bool


def records(data: bytes) -> tuple[tuple[Record, ...], int]:
    """The whole records in ``data``, and how many bytes of one more follow. Raises :class:`NotTlsError`."""
    found, at = [], 0
    while at < len(data):
        head = data[at : at + _HEADER]
        if not _can_begin(head):
            raise NotTlsError
        if len(head) < _HEADER:
            break
        size = int.from_bytes(head[3:5], "big")
        if len(data) < at + _HEADER + size:
            break
        found.append(Record(head[0], data[at + _HEADER : at + _HEADER + size]))
        at += _HEADER + size
    return tuple(found), len(data) - at


def _can_begin(head: bytes) -> bool:
    """Whether these first bytes can be a record's header."""
    if head[0] not in {CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION}:
        return False
    if len(head) > 1 and head[1] != 3:
        return False
    if len(head) > 2 and head[2] not in {0, 1, 2, 3}:
        return False
    return len(head) < _HEADER or 0 < int.from_bytes(head[3:5], "big") <= MAX_RECORD


def messages(body: bytes) -> tuple[tuple[int, bytes], ...]:
    """(type, body) of the handshake messages in joined fragments; an unfinished one is left out."""
    found, at = [], 0
    while at + 4 <= len(body):
        size = int.from_bytes(body[at + 1 : at + 4], "big")
        if at + 4 + size > len(body):
            break
        found.append((body[at], body[at + 4 : at + 4 + size]))
        at += 4 + size
    return tuple(found)


def client_hello(body: bytes) -> ClientHello:
    """Raises :class:`NotTlsError`."""
    reader = _Reader(body)
    legacy = reader.number(2)
    reader.take(32)
    reader.vector(1)
    reader.vector(2)
    reader.vector(1)
    extensions = _extensions(reader)
    offered = extensions.get(SUPPORTED_VERSIONS)
    versions: tuple[int, ...] = (legacy,)
    if offered is not None:
        listed = _Reader(offered).vector(1)
        versions = tuple(int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed), 2))
    return ClientHello(versions, _name(extensions.get(SERVER_NAME, b"")))


def server_hello(body: bytes) -> ServerHello:
    """Raises :class:`NotTlsError`."""
    reader = _Reader(body)
    legacy = reader.number(2)
    random = reader.take(32)
    reader.vector(1)
    reader.take(3)
    chosen = _extensions(reader).get(SUPPORTED_VERSIONS, b"")
    return ServerHello(int.from_bytes(chosen, "big") if len(chosen) == 2 else legacy, random == RETRY)


def _name(extension: bytes) -> str:
    if not extension:
        return ""
    names = _Reader(_Reader(extension).vector(2))
    if names.number(1) != 0:
        return ""
    return names.vector(2).decode("ascii", "replace")


def _extensions(reader: _Reader) -> dict[int, bytes]:
    if reader.done:
        return {}
    inner = _Reader(reader.vector(2))
    found = {}
    while not inner.done:
        kind = inner.number(2)
        found[kind] = inner.vector(2)
    return found


@dataclass(slots=True)
class _Reader:
    """Takes numbers and vectors off the front; raises :class:`NotTlsError` at the end."""

    data: bytes
    at: int = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.data)

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise NotTlsError
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def offer(version: int, random: bytes, name: str = "") -> bytes:
    """A ClientHello record that offers ``version`` and nothing else; ``random`` has 32 bytes.

    For TLS 1.3 it holds no key share, so a server that speaks it answers with a retry: enough to hear what it chose.
    """
    ciphers = b"\x13\x01\x13\x02\x13\x03" if version == TLS_1_3 else b"\xc0\x2b\xc0\x2f\xc0\x0a\xc0\x14\x00\x2f"
    extensions = [
        (SUPPORTED_GROUPS, _sized(b"\x00\x1d\x00\x17", 2)),
        (SIGNATURES, _sized(b"\x04\x03\x08\x04\x04\x01\x02\x03\x02\x01", 2)),
    ]
    if name:
        extensions.append((SERVER_NAME, _sized(b"\0" + _sized(name.encode(), 2), 2)))
    if version == TLS_1_3:
        extensions += [(SUPPORTED_VERSIONS, _sized(version.to_bytes(2, "big"), 1)), (KEY_SHARE, _sized(b"", 2))]
    listed = b"".join(kind.to_bytes(2, "big") + _sized(value, 2) for kind, value in extensions)
    legacy = min(version, TLS_1_2).to_bytes(2, "big")
    body = legacy + random + _sized(b"", 1) + _sized(ciphers, 2) + _sized(b"\0", 1) + _sized(listed, 2)
    message = bytes([CLIENT_HELLO]) + _sized(body, 3)
    return bytes([HANDSHAKE, 3, 1]) + _sized(message, 2)


def _sized(value: bytes, size: int) -> bytes:
    return len(value).to_bytes(size, "big") + value
