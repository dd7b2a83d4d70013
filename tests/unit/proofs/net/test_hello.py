"""TLS read from outside: what a real handshake looks like, and what is none."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.x509 import Authority, Names
from clawmates.proofs.net.hello import (
    HANDSHAKE,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    NotTlsError,
    client_hello,
    messages,
    offer,
    records,
    server_hello,
)
from clawmates.proofs.net.wire import Speech, judge, judge_midway


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    now = datetime.now(UTC)
    pair = Authority.create("test", now).issue(Names(dns=("host.example",)), now)
    path = tmp_path_factory.mktemp("identity") / "pair.pem"
    path.write_bytes(pair.certificate + pair.key)
    return path


def talk(identity: Path, version: ssl.TLSVersion, *, group: str = "") -> tuple[bytes, bytes]:
    """(up, down) of a whole connection between two OpenSSLs: handshake, a word each way, an end."""
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_side.load_cert_chain(identity)
    server_side.minimum_version = server_side.maximum_version = version
    if group:
        server_side.set_ecdh_curve(group)
    client_side.check_hostname, client_side.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    from_client = ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client_in := ssl.MemoryBIO(), from_client, server_hostname="host.example")
    up, down = bytearray(), bytearray()

    def move() -> None:
        sent, answered = from_client.read(), to_client.read()
        up.extend(sent)
        down.extend(answered)
        to_server.write(sent)
        to_client_in.write(answered)

    waiting = {client, server}
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass
        move()
    assert not waiting
    client.write(b"a word")
    move()
    assert server.read() == b"a word"
    server.write(b"another")
    move()
    return bytes(up), bytes(down)


def test_a_whole_tls_1_3_connection_is_one(identity: Path) -> None:
    wire = judge(*talk(identity, ssl.TLSVersion.TLSv1_3))
    assert (wire.speech, wire.name) == (Speech.TLS13, "host.example")


def test_with_a_second_hello_it_is_one_too(identity: Path) -> None:
    up, down = talk(identity, ssl.TLSVersion.TLSv1_3, group="secp521r1")
    first = messages(b"".join(one.body for one in records(down)[0] if one.kind == HANDSHAKE))[0]
    assert server_hello(first[1]).retry
    assert judge(up, down).speech is Speech.TLS13


def test_tls_1_2_is_found_out(identity: Path) -> None:
    wire = judge(*talk(identity, ssl.TLSVersion.TLSv1_2))
    assert (wire.speech, wire.detail) == (Speech.OLDER, "TLS 1.2")


def test_one_plain_word_after_a_good_handshake_is_found_out(identity: Path) -> None:
    up, down = talk(identity, ssl.TLSVersion.TLSv1_3)
    assert judge(up + b"GET / HTTP/1.1\r\n\r\n", down).speech is Speech.PLAIN
    assert judge(up, down + b"HTTP/1.1 200 OK\r\n").speech is Speech.PLAIN
    # And dressed up as records that TLS 1.3 does not have there.
    assert judge(up + b"\x16\x03\x03\x00\x05hello", down).speech is Speech.PLAIN
    assert judge(up, down + b"\x15\x03\x03\x00\x05hello").speech is Speech.PLAIN


@pytest.mark.parametrize("up", [b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\x00\x02hi", b"\x16\x03\x01\x00\x01\x02"])
def test_what_begins_otherwise_is_not_tls(up: bytes) -> None:
    assert judge(up, b"").speech is Speech.PLAIN


def test_a_hello_that_is_refused_said_nothing() -> None:
    hello = offer(TLS_1_2, bytes(32), "host.example")
    wire = judge(hello, b"\x15\x03\x03\x00\x02\x02\x46")
    assert (wire.speech, wire.name, wire.detail) == (Speech.REFUSED, "host.example", "protocol_version")
    assert judge(hello, b"").speech is Speech.REFUSED
    assert judge(hello + b"\x17\x03\x03\x00\x01x", b"").speech is Speech.PLAIN


def test_the_middle_of_a_connection_must_be_protected_records() -> None:
    assert judge_midway(b"\x17\x03\x03\x00\x02hi", b"").speech is Speech.CONTINUED
    assert judge_midway(b"\x17\x03\x03\x00\x02hi", b"plain").speech is Speech.GAPPED
    assert judge_midway(b"\x16\x03\x03\x00\x02hi", b"").speech is Speech.GAPPED
    assert judge_midway(b"", b"").speech is Speech.SILENT


@pytest.mark.parametrize("version", [TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3])
def test_an_offer_offers_one_version(version: int) -> None:
    (record,), rest = records(offer(version, bytes(range(32)), "a.example"))
    ((_, body),) = messages(record.body)
    hello = client_hello(body)
    assert (hello.versions, hello.name, rest) == ((version,), "a.example", 0)


@given(st.binary(max_size=400))
def test_no_bytes_surprise_the_readers(data: bytes) -> None:
    for read in (records, client_hello, server_hello):
        try:
            read(data)
        except NotTlsError:
            continue
    messages(data)
    assert isinstance(judge(data, data).speech, Speech)
    assert isinstance(judge_midway(data, data).speech, Speech)


@given(st.data())
def test_a_real_hello_cut_or_changed_anywhere_is_never_taken_for_tls_1_3(data: st.DataObject) -> None:
    whole = offer(TLS_1_3, bytes(32), "host.example")
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert judge(bytes(changed), b"").speech is not Speech.TLS13
    assert judge(whole[:at], b"").speech is not Speech.TLS13


@given(st.lists(st.tuples(st.sampled_from([20, 21, 22, 23]), st.binary(min_size=1, max_size=40)), max_size=5))
def test_records_come_apart_as_they_were_put_together(parts: list[tuple[int, bytes]]) -> None:
    data = b"".join(bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body for kind, body in parts)
    found, rest = records(data)
    assert [(one.kind, one.body) for one in found] == parts
    assert rest == 0
    if parts:
        assert records(data[:-1])[1] == len(parts[-1][1]) + 4
