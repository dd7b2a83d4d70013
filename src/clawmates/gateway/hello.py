"""ClientHello and ServerHello, read and judged (RFC 8446 §4.1.2, §4.1.3; server_name: RFC 6066 §3).

The rule of the wire: the client names the host it asked for and offers TLS 1.3, and the server selects TLS 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from clawmates.gateway.decision import ALLOW, RETRY, Decision, deny
from clawmates.gateway.records import CLIENT_HELLO, SERVER_HELLO, HelloReader
from clawmates.wire.door import Refusal

TLS_1_2 = b"\x03\x03"
"""What a TLS 1.3 hello says in its frozen version field."""
TLS_1_3 = b"\x03\x04"
_SERVER_NAME, _SUPPORTED_VERSIONS, _ENCRYPTED_HELLO = 0, 43, 0xFE0D
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""SHA-256 of "HelloRetryRequest"."""


class MalformedHelloError(ValueError):
    """The message is not a hello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What the gateway looks at in a ClientHello."""

    legacy_version: bytes
    server_name: bytes | None
    """The one host name; ``None`` without the extension or with anything but exactly one host name."""
    versions: tuple[bytes, ...]
    encrypted: bool
    """There is an encrypted inner hello (ECH), which could name another host than the visible one."""


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the gateway looks at in a ServerHello."""

    version: bytes
    retry: bool


def client_reader(host: str, *, second: bool = False, inner: bool = False) -> HelloReader:
    """Reads what a client sends first (or after a HelloRetryRequest: ``second``); ``inner`` as :func:`judge_client`."""
    return HelloReader(CLIENT_HELLO, partial(judge_client, host, inner=inner), second=second)


def caller_reader() -> HelloReader:
    """Reads what a caller from outside sends first; whom it means is decided afterwards (:func:`name_in`)."""
    return HelloReader(CLIENT_HELLO, judge_caller)


def server_reader(*, second: bool = False) -> HelloReader:
    """Reads what a server answers; ``second`` after a HelloRetryRequest, when another one is refused."""
    return HelloReader(SERVER_HELLO, partial(judge_server, second=second), second=second)


def judge_client(host: str, message: bytes, *, inner: bool = False) -> Decision:
    """Whether a ClientHello's body is TLS 1.3 for ``host``.

    ``inner`` lets an encrypted inner hello pass. On the way out it could lead to another customer of the host. On the
    way in it leads nowhere else: whoever the visible name means ends TLS and is all there is; and every browser sends
    one that is made up (RFC 9849 §6.2).
    """
    try:
        hello = parse_client(message)
    except MalformedHelloError:
        return deny(Refusal.NOT_TLS)
    if hello.legacy_version != TLS_1_2 or TLS_1_3 not in hello.versions:
        return deny(Refusal.TLS_TOO_OLD)
    if (hello.encrypted and not inner) or hello.server_name != host.encode():
        return deny(Refusal.SNI_MISMATCH)
    return ALLOW


def judge_caller(message: bytes) -> Decision:
    """Whether a ClientHello's body is TLS 1.3 for somebody it names openly."""
    try:
        name = name_in(message)
    except MalformedHelloError:
        return deny(Refusal.NOT_TLS)
    return judge_client(name, message, inner=True)


def judge_server(message: bytes, *, second: bool) -> Decision:
    """Whether a ServerHello's body selects TLS 1.3."""
    try:
        hello = parse_server(message)
    except MalformedHelloError:
        return deny(Refusal.NOT_TLS)
    if hello.version != TLS_1_3:
        return deny(Refusal.TLS_TOO_OLD)
    if hello.retry:
        return deny(Refusal.NOT_TLS) if second else RETRY
    return ALLOW


def parse_client(message: bytes) -> ClientHello:
    """Raises :class:`MalformedHelloError`. Unknown (GREASE, RFC 8701) values are passed over."""
    cursor = _Cursor(message)
    legacy = cursor.take(2)
    cursor.take(32)
    if len(cursor.vector(1)) > 32:
        raise MalformedHelloError
    suites, compression = cursor.vector(2), cursor.vector(1)
    if not suites or len(suites) % 2 or not compression:
        raise MalformedHelloError
    extensions = cursor.extensions()
    versions = b""
    if _SUPPORTED_VERSIONS in extensions:
        versions = _whole(extensions[_SUPPORTED_VERSIONS], 1)
        if not versions or len(versions) % 2:
            raise MalformedHelloError
    return ClientHello(
        legacy,
        _host_name(extensions[_SERVER_NAME]) if _SERVER_NAME in extensions else None,
        tuple(versions[at : at + 2] for at in range(0, len(versions), 2)),
        _ENCRYPTED_HELLO in extensions,
    )


def name_in(message: bytes) -> str:
    """The host that a ClientHello's body names, empty for none; raises :class:`MalformedHelloError`."""
    return (parse_client(message).server_name or b"").decode("latin-1")


def parse_server(message: bytes) -> ServerHello:
    """Raises :class:`MalformedHelloError`. Without supported_versions the frozen field is the version."""
    cursor = _Cursor(message)
    legacy, random = cursor.take(2), cursor.take(32)
    if len(cursor.vector(1)) > 32:
        raise MalformedHelloError
    cursor.take(3)  # cipher suite, compression
    selected = cursor.extensions().get(_SUPPORTED_VERSIONS)
    if selected is None and legacy <= TLS_1_2:
        return ServerHello(legacy, retry=False)
    if selected is None or legacy != TLS_1_2 or len(selected) != 2:
        raise MalformedHelloError
    return ServerHello(selected, retry=random == _RETRY_RANDOM)


def _host_name(extension: bytes) -> bytes | None:
    cursor = _Cursor(_whole(extension, 2))
    kind, name = cursor.take(1), cursor.vector(2)
    return name if kind == b"\0" and cursor.done() else None


def _whole(data: bytes, width: int) -> bytes:
    """The one vector that ``data`` consists of."""
    cursor = _Cursor(data)
    inner = cursor.vector(width)
    if not cursor.done():
        raise MalformedHelloError
    return inner


class _Cursor:
    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def done(self) -> bool:
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise MalformedHelloError
        self._at += size
        return piece

    def vector(self, width: int) -> bytes:
        """Bytes behind a length of ``width`` bytes."""
        return self.take(int.from_bytes(self.take(width), "big"))

    def extensions(self) -> dict[int, bytes]:
        """All extensions, which must end the message; none at all is how TLS 1.2 may speak."""
        if self.done():
            return {}
        inner = _Cursor(self.vector(2))
        found: dict[int, bytes] = {}
        while not inner.done():
            kind = int.from_bytes(inner.take(2), "big")
            if kind in found:
                raise MalformedHelloError
            found[kind] = inner.vector(2)
        if not self.done():
            raise MalformedHelloError
        return found
