"""The PROXY protocol's header, as the specification writes it down, and everything that is none."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.proxyheader import MOST, SIGNATURE, NotIntroducedError, caller_in, header, missing

V4 = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336407 dbe4 01bb")
"""192.0.2.1:56292 has called 198.51.100.7:443, by hand after section 2.2."""


def made(command: int, kind: int, block: bytes) -> bytes:
    return SIGNATURE + bytes((command, kind)) + len(block).to_bytes(2, "big") + block


def test_as_the_specification_has_it() -> None:
    assert header(("192.0.2.1", 56292), ("198.51.100.7", 443)) == V4
    assert header(("::ffff:192.0.2.1", 56292), ("::ffff:198.51.100.7", 443)) == V4, "a socket of both families"
    assert caller_in(V4) == ("192.0.2.1", 56292)
    with pytest.raises(ValueError, match="two families"):
        header(("192.0.2.1", 1), ("::1", 1))


@given(st.ip_addresses(), st.integers(0, 0xFFFF), st.binary(max_size=MOST - 52))
def test_what_is_said_is_heard_whatever_follows_the_addresses(one: object, port: int, tlvs: bytes) -> None:
    whole = header((str(one), port), (str(one), 443))
    known = made(0x21, whole[13], whole[16:] + tlvs)
    assert missing(known) == 0
    found = caller_in(known)
    assert found is not None
    mapped = getattr(one, "ipv4_mapped", None)
    assert (ip_address(found[0]), found[1]) == (mapped or one, port)


@given(st.integers(0, len(V4) - 1))
def test_what_is_cut_short_asks_for_no_byte_beyond_its_end(size: int) -> None:
    assert 0 < missing(V4[:size]) <= len(V4) - size


@given(st.one_of(st.binary(max_size=600), st.binary(max_size=600).map(lambda more: SIGNATURE + more)))
def test_any_bytes(data: bytes) -> None:
    try:
        more = missing(data)
    except NotIntroducedError:
        return
    assert more + len(data) <= max(MOST, len(data))
    if not more:
        caller = caller_in(data)
        assert caller is None or ip_address(caller[0])


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",  # a ClientHello, at once
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56292 443\r\n",  # the first version
        SIGNATURE[:5] + b"\x01",
        made(0x11, 0x11, bytes(12)),  # another version
        made(0x22, 0x11, bytes(12)),  # a command that nobody has defined
        made(0x21, 0x41, bytes(12)),  # a family
        made(0x21, 0x13, bytes(12)),  # a transport
        made(0x21, 0x11, bytes(11)),  # half an address
        made(0x21, 0x21, bytes(12)),
        made(0x21, 0x00, b""),  # a caller who is not named
        made(0x21, 0x31, bytes(216)),  # on a unix socket
        made(0x21, 0x12, bytes(12)),  # over UDP
        made(0x21, 0x11, bytes(MOST)),  # a TLV beyond all measure
        made(0x20, 0x00, bytes(MOST)),
    ],
)
def test_what_introduces_nobody_is_refused(data: bytes) -> None:
    with pytest.raises(NotIntroducedError):
        missing(data)


@pytest.mark.parametrize("block", [b"", bytes(216), b"\x04\x00\x01\x00"])
def test_a_relay_may_speak_for_itself(block: bytes) -> None:
    """LOCAL: the specification has it accepted, its block skipped by the length that it names."""
    for kind in (0x00, 0x11, 0x31):
        assert missing(made(0x20, kind, block)) == 0
        assert caller_in(made(0x20, kind, block)) is None
    assert missing(made(0x20, 0x00, block)[:16]) == len(block)
