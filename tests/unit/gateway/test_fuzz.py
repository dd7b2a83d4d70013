"""The fuzzer's properties hold for its own seeds, and each turns red on a parser that is weakened for it."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.properties import HOST, READERS, FoundError, Oracle, examine, identity, real_hellos

from clawmates.gateway import hello, records
from clawmates.gateway.decision import ALLOW


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    folder = tmp_path_factory.mktemp("fuzz")
    identity(folder)
    return Oracle(folder)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, bytes]]:
    folder = tmp_path_factory.mktemp("seeds")
    identity(folder)
    return real_hellos(folder)


def run(oracle: Oracle, seeds: list[tuple[int, bytes]]) -> None:
    for kind, flight in seeds:
        for piece in (0, 4, 255):
            examine(oracle, bytes([kind, piece]) + flight)


def test_hold_for_real_hellos(oracle: Oracle, seeds: list[tuple[int, bytes]]) -> None:
    assert {kind for kind, _ in seeds} == set(range(READERS))
    run(oracle, seeds)


@given(data=st.data())
def test_hold_for_changed_hellos(oracle: Oracle, seeds: list[tuple[int, bytes]], data: st.DataObject) -> None:
    kind, flight = data.draw(st.sampled_from(seeds))
    changed = bytearray(flight)
    for _ in range(data.draw(st.integers(0, 6))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    examine(oracle, bytes([kind, data.draw(st.integers(0, 255))]) + bytes(changed))


def hello_for(host: str, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    end = context.wrap_bio(incoming, outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    return outgoing.read()


class TestWeakened:
    def test_name_that_is_not_looked_at(self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
        examine(oracle, b"\0\0" + hello_for("evil.example"))
        monkeypatch.setattr(hello, "judge_client", lambda host, message, **_: ALLOW)
        with pytest.raises(FoundError, match="another server name"):
            examine(oracle, b"\0\0" + hello_for("evil.example"))

    def test_version_that_is_not_looked_at(self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
        old = b"\0\0" + hello_for(HOST, ssl.TLSVersion.TLSv1_2)
        examine(oracle, old)
        monkeypatch.setattr(hello, "judge_client", lambda host, message, **_: ALLOW)
        with pytest.raises(FoundError, match="without TLS"):
            examine(oracle, old)

    def test_bound_that_is_missing(self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
        giant = b"\0\xff\x16\x03\x01\x00\x04\x01\x01\x00\x00" + (b"\x16\x03\x01\x40\x00" + bytes(1 << 14)) * 5
        examine(oracle, giant)
        feed = records.HelloReader.feed

        def hoard(self: records.HelloReader, data: bytes) -> None:
            self.held += data

        monkeypatch.setattr(records.HelloReader, "feed", hoard)
        with pytest.raises(FoundError, match="64 KiB"):
            examine(oracle, giant)
        assert feed is not hoard

    def test_verdict_by_piece(self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
        good = b"\0\0" + hello_for(HOST)
        feed = records.HelloReader.feed
        monkeypatch.setattr(
            records.HelloReader, "feed", lambda self, data: feed(self, data) if len(data) > 1 else ALLOW
        )
        with pytest.raises(FoundError, match="split"):
            examine(oracle, good)

    def test_byte_that_is_lost(self, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(records.HelloReader, "hello", property(lambda self: bytes(self.held[: self._at - 1])))
        with pytest.raises(FoundError, match="lost"):
            examine(oracle, b"\0\0" + hello_for(HOST))
