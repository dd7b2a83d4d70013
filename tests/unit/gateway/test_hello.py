from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.gateway import hello, records
from clawmates.gateway.decision import ALLOW, RETRY, Decision, Verdict
from clawmates.gateway.hello import (
    MalformedHelloError,
    caller_reader,
    client_reader,
    name_in,
    parse_client,
    parse_server,
    server_reader,
)
from clawmates.gateway.records import MAX_HELD, HelloReader
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Hellos

HOST = "api.telegram.org"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CCS = bytes.fromhex("140303000101")


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, data)


def sni(host: str = HOST) -> bytes:
    return extension(0, vector(2, b"\0" + vector(2, host.encode())))


VERSIONS = extension(43, vector(1, b"\x03\x04"))
ECH = extension(0xFE0D, b"\0" * 8)


def client_body(extensions: bytes | None, *, legacy: bytes = b"\x03\x03", session: bytes = b"s" * 32) -> bytes:
    head = legacy + b"r" * 32 + vector(1, session) + vector(2, b"\x13\x01") + vector(1, b"\0")
    return head if extensions is None else head + vector(2, extensions)


def server_body(
    extensions: bytes | None, *, random: bytes = b"r" * 32, legacy: bytes = b"\x03\x03", session: bytes = b""
) -> bytes:
    head = legacy + random + vector(1, session) + b"\x13\x01\0"
    return head if extensions is None else head + vector(2, extensions)


SELECTED = extension(43, b"\x03\x04")
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def record(fragment: bytes, kind: int = 22, version: bytes = b"\x03\x03") -> bytes:
    return bytes([kind]) + version + vector(2, fragment)


def in_records(data: bytes, size: int) -> bytes:
    return b"".join(record(data[at : at + size]) for at in range(0, len(data), size))


def judge(reader: HelloReader, data: bytes) -> Decision:
    return reader.feed(data) or reader.finish()


def client(data: bytes, host: str = HOST) -> Decision:
    return judge(client_reader(host), data)


def server(data: bytes) -> Decision:
    return judge(server_reader(), data)


class TestRealHellos:
    def test_tls_13(self, hellos: Hellos) -> None:
        assert client(hellos.client_hello(oldest=V13)) == ALLOW
        assert client(hellos.client_hello(oldest=V12)) == ALLOW

    def test_tls_12_only_client(self, hellos: Hellos) -> None:
        assert client(hellos.client_hello(newest=V12)).reason is Refusal.TLS_TOO_OLD

    def test_other_name(self, hellos: Hellos) -> None:
        assert client(hellos.client_hello("vault")).reason is Refusal.SNI_MISMATCH
        assert client(hellos.client_hello("vault"), "vault") == ALLOW

    def test_no_name(self, hellos: Hellos) -> None:
        assert client(hellos.client_hello("")).reason is Refusal.SNI_MISMATCH

    def test_server_selects_13(self, hellos: Hellos) -> None:
        reader = server_reader()
        answer = hellos.server_hello(hellos.client_hello())
        assert reader.feed(answer) == ALLOW
        assert reader.hello + reader.rest == answer
        assert reader.rest.startswith(CCS)

    def test_server_selects_12(self, hellos: Hellos) -> None:
        assert server(hellos.server_hello(hellos.client_hello(), newest=V12)).reason is Refusal.TLS_TOO_OLD

    def test_server_that_knows_only_12_alerts_a_13_client(self, hellos: Hellos) -> None:
        answer = hellos.server_hello(hellos.client_hello(oldest=V13), newest=V12)
        assert answer[0] == 21
        assert server(answer).reason is Refusal.TLS_TOO_OLD

    def test_hello_retry_request_and_second_pair(self, hellos: Hellos) -> None:
        context = hellos.server_context()
        context.set_ecdh_curve("secp384r1")
        one, to_client, from_client = hellos.client()
        to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        two = context.wrap_bio(to_server, from_server, server_side=True)
        first = from_client.read()
        assert client(first) == ALLOW
        to_server.write(first)
        with suppress(ssl.SSLWantReadError):
            two.do_handshake()
        retry = from_server.read()
        reader = server_reader()
        assert reader.feed(retry) == RETRY
        to_client.write(retry)
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
        again = from_client.read()
        assert again.startswith(CCS)
        assert client_reader(HOST, second=True).feed(again) == ALLOW
        assert client(again).reason is Refusal.NOT_TLS, "a first flight does not start so"
        to_server.write(again)
        with suppress(ssl.SSLWantReadError):
            two.do_handshake()
        second = server_reader(second=True)
        assert second.feed(reader.rest + from_server.read()) == ALLOW

    @given(data=st.data())
    def test_any_split_gives_the_same_verdict(self, hellos: Hellos, data: st.DataObject) -> None:
        good = hellos.client_hello()
        stream, host = data.draw(
            st.sampled_from([(good, HOST), (good, "vault"), (hellos.client_hello(newest=V12), HOST), (good[:-1], HOST)])
        )
        whole = client_reader(host)
        expected = judge(whole, stream)
        cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
        reader, found = client_reader(host), None
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if found is None:
                found = reader.feed(stream[start:end])
        assert (found or reader.finish()) == expected
        assert reader.hello == whole.hello

    def test_one_byte_at_a_time(self, hellos: Hellos) -> None:
        stream, reader = hellos.client_hello(), client_reader(HOST)
        verdicts = [reader.feed(stream[at : at + 1]) for at in range(len(stream))]
        assert verdicts == [None] * (len(stream) - 1) + [ALLOW]

    @given(data=st.data())
    def test_any_changed_byte_never_crashes(self, hellos: Hellos, data: st.DataObject) -> None:
        stream = bytearray(hellos.client_hello())
        for _ in range(data.draw(st.integers(1, 8))):
            stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
        decision = client(bytes(stream))
        assert decision == ALLOW or decision.reason is not None


@given(st.binary(max_size=2000), st.booleans())
def test_random_bytes_never_pass(data: bytes, second: bool) -> None:  # noqa: FBT001 - hypothesis passes it so
    assert judge(client_reader(HOST, second=second), data).verdict is Verdict.DENY
    assert judge(server_reader(second=second), data).verdict is Verdict.DENY


@given(st.binary(max_size=600))
def test_random_bodies_never_crash(body: bytes) -> None:
    for kind, read in ((1, client), (2, server)):
        decision = read(in_records(message(kind, body), 16384))
        assert decision.reason is not None or decision.verdict is not Verdict.DENY


class TestRecords:
    GOOD = client_body(sni() + VERSIONS)

    @pytest.mark.parametrize("size", [1, 3, 5, 100, 16384])
    def test_message_in_many_records(self, size: int) -> None:
        reader = client_reader(HOST)
        stream = in_records(message(1, self.GOOD), size)
        assert reader.feed(stream + b"more") == ALLOW
        assert (reader.hello, reader.rest) == (stream, b"more")

    @pytest.mark.parametrize("version", [b"\x03\x01", b"\x03\x02", b"\x03\x03"])
    def test_record_versions(self, version: bytes) -> None:
        assert client(record(message(1, self.GOOD), version=version)) == ALLOW

    @pytest.mark.parametrize("version", [b"\x03\x00", b"\x03\x04", b"\x02\x00", b"\x13\x37"])
    def test_other_record_versions_are_not_tls(self, version: bytes) -> None:
        assert client(record(message(1, self.GOOD), version=version)).reason is Refusal.NOT_TLS

    @pytest.mark.parametrize(
        "stream",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"\x80\x2e\x01\x00\x02",  # an SSL 2 hello
            record(b"x", kind=23),
            record(b"x", kind=24),
            record(b"\x01", kind=20),
            record(b"\x02\x28", kind=21),
            record(b""),
            b"\x16\x03\x03\x40\x01",
            record(message(2, client_body(sni() + VERSIONS))),
            record(message(1, client_body(sni() + VERSIONS)) + b"\0"),
            record(b"\x01\xff\xff\xff"),
            record(b"\x01") + record(b"\x01", kind=20),
            b"",
            b"\x16",
            b"\x16\x03\x03",
        ],
    )
    def test_not_tls(self, stream: bytes) -> None:
        assert client(stream).reason is Refusal.NOT_TLS

    @pytest.mark.parametrize(
        ("alert", "reason"),
        [
            (b"\x02\x46", Refusal.TLS_TOO_OLD),
            (b"\x02\x28", Refusal.UNREACHABLE),
            (b"\x01\x70", Refusal.UNREACHABLE),
            (b"\x02", Refusal.NOT_TLS),
            (b"\x02\x28\x00", Refusal.NOT_TLS),
        ],
    )
    def test_alerts_of_the_server(self, alert: bytes, reason: Refusal) -> None:
        assert server(record(alert, kind=21)).reason is reason

    def test_change_cipher_spec_only_once_and_only_before_a_second_hello(self) -> None:
        good = record(message(1, self.GOOD))
        assert judge(client_reader(HOST, second=True), CCS + good) == ALLOW
        assert judge(client_reader(HOST, second=True), good) == ALLOW
        assert judge(client_reader(HOST, second=True), CCS + CCS + good).reason is Refusal.NOT_TLS
        assert judge(client_reader(HOST, second=True), record(b"\x02", kind=20) + good).reason is Refusal.NOT_TLS
        assert client(CCS + good).reason is Refusal.NOT_TLS

    def test_giant_hello_is_cut_at_the_bound(self) -> None:
        giant = in_records(message(1, client_body(sni() + VERSIONS + extension(21, b"\0" * 60_000))), 16384)
        assert len(giant) < MAX_HELD
        assert client(giant) == ALLOW
        reader = client_reader(HOST)
        stream = in_records(b"\x01" + vector(3, b"\0" * 65_000), 1)
        fed = 0
        while reader.decision is None:
            reader.feed(stream[fed : fed + 1000])
            fed += 1000
            assert len(reader.held) <= MAX_HELD
        assert reader.decision.reason is Refusal.NOT_TLS
        assert fed <= MAX_HELD + 1000

    def test_weakened_bound_would_let_it_grow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(records, "MAX_HELD", 1 << 24)
        reader = client_reader(HOST)
        assert reader.feed(in_records(b"\x01" + vector(3, b"\0" * 70_000), 16384)[:68_000]) is None
        assert len(reader.held) > MAX_HELD

    def test_bytes_beyond_the_bound_follow_a_good_hello(self) -> None:
        reader = client_reader(HOST)
        good, more = record(message(1, self.GOOD)), b"m" * (2 * MAX_HELD)
        assert reader.feed(good + more) == ALLOW
        assert reader.rest == more


class TestCallerRule:
    """A caller from outside may name anybody, openly and with TLS 1.3."""

    def check(self, body: bytes) -> Decision:
        return judge(caller_reader(), in_records(message(1, body), 16384))

    @pytest.mark.parametrize("host", [HOST, "other.example", ""])
    def test_any_name(self, host: str) -> None:
        reader = caller_reader()
        assert judge(reader, record(message(1, client_body(sni(host) + VERSIONS)))) == ALLOW
        assert name_in(reader.message) == host

    def test_an_inner_hello_leads_nowhere_else_on_the_way_in(self) -> None:
        """As every browser sends it, made up or not."""
        assert self.check(client_body(sni() + VERSIONS + ECH)) == ALLOW
        assert self.check(client_body(VERSIONS + ECH)).reason is Refusal.SNI_MISMATCH
        stream = in_records(message(1, client_body(sni() + VERSIONS + ECH)), 16384)
        assert judge(client_reader(HOST, inner=True), stream) == ALLOW
        assert judge(client_reader("other.example", inner=True), stream).reason is Refusal.SNI_MISMATCH

    def test_refused(self) -> None:
        assert self.check(client_body(VERSIONS)).reason is Refusal.SNI_MISMATCH
        assert self.check(client_body(sni())).reason is Refusal.TLS_TOO_OLD
        assert self.check(client_body(sni()[:-1])).reason is Refusal.NOT_TLS
        not_ascii = extension(0, vector(2, b"\0" + vector(2, b"\xe9.example")))
        assert self.check(client_body(not_ascii + VERSIONS)).reason is Refusal.SNI_MISMATCH


class TestClientRule:
    def check(self, extensions: bytes | None, *, legacy: bytes = b"\x03\x03", session: bytes = b"s" * 32) -> Decision:
        return client(in_records(message(1, client_body(extensions, legacy=legacy, session=session)), 16384))

    def test_good(self) -> None:
        assert self.check(sni() + VERSIONS) == ALLOW
        assert self.check(VERSIONS + sni(), session=b"") == ALLOW

    def test_grease_is_passed_over(self) -> None:
        grease = extension(0x0A0A, b"") + extension(43, vector(1, b"\x7a\x7a\x03\x04\x03\x03"))
        assert self.check(grease + sni() + extension(0xFAFA, b"\0")) == ALLOW

    @pytest.mark.parametrize("legacy", [b"\x03\x00", b"\x03\x01", b"\x03\x02", b"\x03\x04"])
    def test_old_version_field(self, legacy: bytes) -> None:
        assert self.check(sni() + VERSIONS, legacy=legacy).reason is Refusal.TLS_TOO_OLD

    def test_without_13_on_offer(self) -> None:
        assert self.check(sni()).reason is Refusal.TLS_TOO_OLD
        assert self.check(None).reason is Refusal.TLS_TOO_OLD
        assert self.check(sni() + extension(43, vector(1, b"\x03\x03\x7f\x1c"))).reason is Refusal.TLS_TOO_OLD

    def test_weakened_would_take_12(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hello, "TLS_1_3", b"\x03\x03")
        assert self.check(sni() + extension(43, vector(1, b"\x03\x03"))) == ALLOW

    @pytest.mark.parametrize(
        "name",
        [
            b"",
            sni("evil.example"),
            sni(HOST.upper()),
            sni(HOST + "."),
            sni(""),
            extension(0, vector(2, b"\x01" + vector(2, HOST.encode()))),
            extension(0, vector(2, (b"\0" + vector(2, HOST.encode())) * 2)),
        ],
    )
    def test_name_must_be_the_very_host(self, name: bytes) -> None:
        assert self.check(name + VERSIONS).reason is Refusal.SNI_MISMATCH

    def test_encrypted_inner_hello_could_name_another_host(self) -> None:
        assert self.check(sni() + VERSIONS + ECH).reason is Refusal.SNI_MISMATCH

    def test_weakened_would_take_an_encrypted_inner_hello(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hello, "_ENCRYPTED_HELLO", -1)
        assert self.check(sni() + VERSIONS + ECH) == ALLOW

    @pytest.mark.parametrize(
        "extensions",
        [
            VERSIONS + VERSIONS + sni(),
            sni() + b"\0",
            sni() + VERSIONS[:-1],
            sni() + extension(43, b""),
            sni() + extension(43, vector(1, b"")),
            sni() + extension(43, vector(1, b"\x03\x04\x03")),
            sni() + extension(43, vector(1, b"\x03\x04") + b"\0"),
            extension(0, b"\0\0") + VERSIONS,
            extension(0, sni()[4:] + b"\0") + VERSIONS,
        ],
    )
    def test_malformed_extensions(self, extensions: bytes) -> None:
        assert self.check(extensions).reason is Refusal.NOT_TLS

    def test_malformed_body(self) -> None:
        whole = client_body(sni() + VERSIONS)
        assert self.check(sni() + VERSIONS, session=b"s" * 33).reason is Refusal.NOT_TLS
        for end in range(len(whole)):
            head = len(client_body(None))
            if end != head:
                with pytest.raises(MalformedHelloError):
                    parse_client(whole[:end])
        with pytest.raises(MalformedHelloError):
            parse_client(whole + b"\0")
        for suites, compression in ((b"", b"\0"), (b"\x13", b"\0"), (b"\x13\x01", b"")):
            with pytest.raises(MalformedHelloError):
                parse_client(b"\x03\x03" + b"r" * 32 + b"\0" + vector(2, suites) + vector(1, compression))


class TestServerRule:
    def check(self, body: bytes, *, second: bool = False) -> Decision:
        return judge(server_reader(second=second), record(message(2, body)))

    def test_good(self) -> None:
        assert self.check(server_body(SELECTED)) == ALLOW
        assert self.check(server_body(SELECTED, session=b"s" * 32), second=True) == ALLOW

    @pytest.mark.parametrize("extensions", [None, b"", extension(65281, b"\0"), extension(43, b"\x03\x03")])
    def test_older_selection(self, extensions: bytes | None) -> None:
        assert self.check(server_body(extensions)).reason is Refusal.TLS_TOO_OLD

    def test_weakened_would_take_12(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hello, "TLS_1_3", b"\x03\x03")
        assert self.check(server_body(None)) == ALLOW

    def test_legacy_field_cannot_claim_13(self) -> None:
        assert self.check(server_body(None, legacy=b"\x03\x04")).reason is Refusal.NOT_TLS
        assert parse_server(server_body(None)).version == b"\x03\x03"

    def test_one_retry_only(self) -> None:
        retry = server_body(SELECTED, random=RETRY_RANDOM)
        assert self.check(retry) == RETRY
        assert self.check(retry, second=True).reason is Refusal.NOT_TLS

    def test_retry_that_selects_12(self) -> None:
        retry = server_body(extension(43, b"\x03\x03"), random=RETRY_RANDOM)
        assert self.check(retry).reason is Refusal.TLS_TOO_OLD

    def test_malformed(self) -> None:
        whole = server_body(SELECTED)
        for end in range(len(whole)):
            if end != len(server_body(None)):
                with pytest.raises(MalformedHelloError):
                    parse_server(whole[:end])
        for body in (
            server_body(SELECTED, session=b"s" * 33),
            server_body(SELECTED, legacy=b"\x03\x01"),
            server_body(extension(43, b"\x03\x04\x03")),
            server_body(SELECTED) + b"\0",
        ):
            assert self.check(body).reason is Refusal.NOT_TLS
