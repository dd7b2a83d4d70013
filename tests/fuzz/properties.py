"""What must hold for any bytes that reach the hello parser, however they are split.

- It never raises, and never holds more than 64 KiB;
- its verdict does not depend on the split, and no byte is lost or made;
- what it lets pass, OpenSSL reads the same way: where OpenSSL sees a server name, it is the one that was allowed, and
  an allowed ClientHello offers TLS 1.3. A parser that disagreed with the one at the other end could be told two
  stories.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.x509 import Authority, Names
from clawmates.gateway import hello, records
from clawmates.gateway.decision import Verdict

if TYPE_CHECKING:
    from pathlib import Path

HOST = "api.telegram.org"
_CLIENT, _SECOND_CLIENT, _SERVER, _SECOND_SERVER, _CALLER = range(5)
READERS = 5


class FoundError(AssertionError):
    """A property does not hold."""


def reader(kind: int) -> records.HelloReader:
    """One of the five readers that the gateway uses."""
    match kind:
        case 0:
            return hello.client_reader(HOST)
        case 1:
            return hello.client_reader(HOST, second=True)
        case 2:
            return hello.server_reader()
        case 3:
            return hello.server_reader(second=True)
        case _:
            return hello.caller_reader()


def feed(kind: int, data: bytes, piece: int) -> records.HelloReader:
    """Reads ``data`` in pieces; checks what is held."""
    one = reader(kind)
    for at in range(0, len(data), piece):
        if one.feed(data[at : at + piece]) is not None:
            break
        if len(one.held) > records.MAX_HELD:
            raise FoundError("more is held than 64 KiB")
    if len(one.held) > records.MAX_HELD:
        raise FoundError("more is held than 64 KiB")
    return one


class Oracle:
    """OpenSSL's own reading of a ClientHello."""

    def __init__(self, identity: Path) -> None:
        self.seen: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(identity / "cert.pem", identity / "key.pem")
        self.context.sni_callback = lambda _ssl, name, _context: self.seen.append(name)

    def check(self, flight: bytes, allowed: str) -> None:
        """Raises :class:`FoundError` when OpenSSL sees another name, or an older client."""
        self.seen.clear()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        incoming.write(flight)
        problem = ""
        try:
            self.context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
        except (ssl.SSLWantReadError, UnicodeError):
            pass
        except ssl.SSLError as error:
            problem = error.reason or ""
        if any(name != allowed for name in self.seen):
            raise FoundError("OpenSSL sees another server name")
        if "UNSUPPORTED_PROTOCOL" in problem or "VERSION_TOO_LOW" in problem:
            raise FoundError("OpenSSL sees a client without TLS 1.3")


def examine(oracle: Oracle, data: bytes) -> None:
    """One input: the first byte chooses the reader, the second the split."""
    if len(data) < 2:
        return
    kind, piece, stream = data[0] % READERS, data[1] + 1, data[2:]
    whole, split = feed(kind, stream, max(len(stream), 1)), feed(kind, stream, piece)
    if whole.finish() != split.finish() or (whole.decision is not None and whole.hello != split.hello):
        raise FoundError("the verdict depends on the split")
    if whole.finish().verdict is not Verdict.ALLOW:
        return
    if whole.hello + whole.rest != stream:
        raise FoundError("bytes are lost or made")
    if kind == _CLIENT:
        oracle.check(whole.hello, HOST)
    if kind == _CALLER:
        oracle.check(whole.hello, hello.name_in(whole.message))


def identity(folder: Path) -> None:
    """A certificate for the oracle."""
    leaf = Authority.create("fuzz", datetime.now(UTC)).issue(Names(dns=(HOST,)), datetime.now(UTC))
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)


def real_hellos(folder: Path) -> list[tuple[int, bytes]]:
    """(reader, first flight): TLS 1.3 and 1.2, with and without a retry."""
    found = []
    for newest in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        for curve in ("", "secp384r1"):
            to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
            mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            mine.maximum_version = newest
            client = mine.wrap_bio(to_client, to_server, server_hostname=HOST)
            theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            theirs.load_cert_chain(folder / "cert.pem", folder / "key.pem")
            if curve:
                theirs.set_ecdh_curve(curve)
            heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
            server = theirs.wrap_bio(heard, said, server_side=True)
            for kinds in ((_CLIENT, _SERVER), (_SECOND_CLIENT, _SECOND_SERVER)):
                with suppress(ssl.SSLError):
                    client.do_handshake()
                first = to_server.read()
                heard.write(first)
                with suppress(ssl.SSLError):
                    server.do_handshake()
                answer = said.read()
                to_client.write(answer)
                found += [(kinds[0], first), (kinds[1], answer), (_CALLER, first)]
    return found
