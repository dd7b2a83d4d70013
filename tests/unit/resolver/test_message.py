from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.dns import Answer, answer_to

from clawmates.resolver.message import AAAA, A, MessageError, addresses_in, encode_name, number_of, query

HOST = "api.telegram.org"
GOOD = IPv4Address("149.154.167.220")


def reply(*records: Answer, host: str = HOST, kind: int = A, rcode: int = 0) -> bytes:
    return answer_to(query(7, host, kind), records, rcode=rcode)


class TestQuery:
    @pytest.mark.parametrize("host", ["a", HOST, ".".join(["x" * 60] * 4)])
    def test_length_says_nothing_about_the_name(self, host: str) -> None:
        assert len(query(1, host, A)) % 128 == 0

    def test_form(self) -> None:
        asked = query(0x1234, HOST, AAAA)
        assert asked[:12] == bytes.fromhex("123401000001000000000001")
        assert asked[12:].startswith(encode_name(HOST) + b"\0\x1c\0\x01\0\0\x29")

    @pytest.mark.parametrize("host", ["", "a..b", ".a", "x" * 64, ".".join(["x" * 60] * 5)])
    def test_no_name(self, host: str) -> None:
        with pytest.raises(MessageError):
            query(1, host, A)


class TestAnswer:
    def test_addresses(self) -> None:
        assert addresses_in(reply(Answer(HOST, GOOD), Answer(HOST, GOOD)), HOST, A) == (GOOD,)
        six = IPv6Address("2001:67c:4e8:f004::9")
        assert addresses_in(reply(Answer(HOST, six), kind=AAAA), HOST, AAAA) == (six,)
        assert number_of(reply()) == 7

    def test_name_in_other_case(self) -> None:
        assert addresses_in(reply(Answer("API.telegram.ORG", GOOD)), HOST, A) == (GOOD,)

    def test_none(self) -> None:
        assert addresses_in(reply(), HOST, A) == ()
        assert addresses_in(reply(rcode=3), HOST, A) == ()

    def test_aliases_are_followed_inside_the_answer(self) -> None:
        chain = (Answer(HOST, "a.example"), Answer("a.example", "b.example"), Answer("b.example", GOOD))
        assert addresses_in(reply(*chain), HOST, A) == (GOOD,)

    def test_compressed_names(self) -> None:
        good = reply(Answer(HOST, GOOD))
        question = len(good) - len(Answer(HOST, GOOD).encode())
        packed = good[:question] + b"\xc0\x0c" + Answer("", GOOD).encode()[2:]
        assert addresses_in(packed, HOST, A) == (GOOD,)

    def test_endless_alias(self) -> None:
        circle = (Answer(HOST, "a.example"), Answer("a.example", HOST), Answer("other.example", GOOD))
        assert addresses_in(reply(*circle), HOST, A) == ()

    def test_what_belongs_to_another_name_is_passed_over(self) -> None:
        assert addresses_in(reply(Answer("evil.example", GOOD), Answer(HOST, GOOD, family=3)), HOST, A) == ()

    @pytest.mark.parametrize("rcode", [1, 2, 5])
    def test_failure(self, rcode: int) -> None:
        with pytest.raises(MessageError):
            addresses_in(reply(rcode=rcode), HOST, A)

    def test_answer_to_another_question(self) -> None:
        good = reply(Answer(HOST, GOOD))
        for host, kind in (("other.example", A), (HOST, AAAA)):
            with pytest.raises(MessageError):
                addresses_in(good, host, kind)

    @pytest.mark.parametrize("flags", [b"\x01\x00", b"\x83\x80"], ids=["a question", "truncated"])
    def test_flags(self, flags: bytes) -> None:
        good = reply(Answer(HOST, GOOD))
        with pytest.raises(MessageError):
            addresses_in(good[:2] + flags + good[4:], HOST, A)

    def test_no_question_in_it(self) -> None:
        good = reply(Answer(HOST, GOOD))
        with pytest.raises(MessageError):
            addresses_in(good[:4] + b"\0\0" + good[6:], HOST, A)

    def test_every_cut_is_an_error(self) -> None:
        good = reply(Answer(HOST, "a.example"), Answer("a.example", GOOD))
        for end in range(len(good)):
            with pytest.raises(MessageError):
                addresses_in(good[:end], HOST, A)

    def test_address_of_the_wrong_length(self) -> None:
        with pytest.raises(MessageError):
            addresses_in(reply(Answer(HOST, b"\x7f\0\0")), HOST, A)

    @pytest.mark.parametrize(
        "name",
        [b"\xc0\xff", b"\xc0\x0c\x00", b"\x40x\x00", b"\x03a.b\x00", b"\x05ab"],
        ids=["forward", "itself", "reserved", "dot in a label", "short"],
    )
    def test_bad_names(self, name: bytes) -> None:
        head = reply(Answer(HOST, GOOD))[:12]
        with pytest.raises(MessageError):
            addresses_in(head + name + b"\0\x01\0\x01", HOST, A)

    def test_name_without_an_end(self) -> None:
        head = reply(Answer(HOST, GOOD))[:12]
        with pytest.raises(MessageError):
            addresses_in(head + b"\x01a" * 300, HOST, A)

    @given(st.binary(max_size=300))
    def test_random_bytes_never_crash(self, data: bytes) -> None:
        head = reply(Answer(HOST, GOOD))
        for message in (data, head[:12] + data, head + data, head[: len(query(7, HOST, A)) - 96] + data):
            try:
                assert set(addresses_in(message, HOST, A)) <= {GOOD}
            except MessageError:
                continue
