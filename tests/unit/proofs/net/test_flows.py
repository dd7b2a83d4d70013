"""Packets become connections again, whatever their order."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from clawmates.proofs.net.flows import Flows, Half
from clawmates.proofs.net.packets import ACK, SYN, Datagram, End, MalformedError, Segment, parse
from clawmates.proofs.net.wire import Speech

CALLER, CALLED = End(IPv4Address("11.0.0.1"), 40000), End(IPv4Address("11.0.0.10"), 443)
SIX = End(IPv6Address("2a00::1"), 40000), End(IPv6Address("2a00::2"), 443)


def tcp(source: End, target: End, sequence: int, flags: int = ACK, data: bytes = b"") -> bytes:
    ports = source.port.to_bytes(2, "big") + target.port.to_bytes(2, "big")
    rest = ports + (sequence % 2**32).to_bytes(4, "big") + bytes(4) + bytes([5 << 4, flags]) + bytes(6) + data
    return ip(source, target, 6, rest)


def ip(source: End, target: End, protocol: int, rest: bytes, fragment: int = 0) -> bytes:
    if source.address.version == 6:
        head = b"\x60\0\0\0" + len(rest).to_bytes(2, "big") + bytes([protocol, 64])
        return head + source.address.packed + target.address.packed + rest
    head = b"\x45\0" + (20 + len(rest)).to_bytes(2, "big") + b"\0\0" + fragment.to_bytes(2, "big")
    return head + bytes([64, protocol, 0, 0]) + source.address.packed + target.address.packed + rest


def flow_of(*packets: bytes) -> Flows:
    return Flows.of(packets)


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), max_size=12),
    st.integers(0, 2**32 - 1),
    st.randoms(),
)
def test_pieces_in_any_order_and_more_than_once_are_the_whole(
    data: bytes, extra: list[tuple[int, int]], first: int, random: object
) -> None:
    half = Half(first)
    pieces = [(at, data[at : at + 7]) for at in range(0, len(data), 7)]
    pieces += [(at % len(data), data[at % len(data) : at % len(data) + size]) for at, size in extra]
    random.shuffle(pieces)  # type: ignore[attr-defined] # hypothesis gives random.Random
    for at, piece in pieces:
        half.add((first + at) % 2**32, piece)
    assert half.joined() == (data, False)


def test_a_missing_piece_is_noticed() -> None:
    half = Half(100)
    half.add(100, b"abc")
    half.add(104, b"e")
    assert half.joined() == (b"abc", True)
    # What was sent before the first byte, a probe of an idle connection, is none of the stream.
    half.add(99, b"x")
    half.add(103, b"d")
    assert half.joined() == (b"abcde", False)


def test_a_connection_has_two_directions_and_a_beginning() -> None:
    for caller, called in ((CALLER, CALLED), SIX):
        flows = flow_of(
            tcp(caller, called, 9, SYN),
            tcp(called, caller, 99, SYN | ACK),
            tcp(caller, called, 10, data=b"GET / HTTP/1.1\r\n\r\n"),
            tcp(called, caller, 100, data=b"HTTP/1.1 200 OK\r\n"),
        )
        (flow,) = flows.flows
        assert (flow.caller, flow.called, flow.begun, flow.answered) == (caller, called, True, True)
        assert flow.size == (18, 17)
        assert flow.judge().speech is Speech.PLAIN


def test_the_same_ports_again_are_another_connection() -> None:
    flows = flow_of(
        tcp(CALLER, CALLED, 9, SYN),
        tcp(CALLER, CALLED, 9, SYN),
        tcp(CALLER, CALLED, 10, data=b"a"),
        tcp(CALLER, CALLED, 7000, SYN),
        tcp(CALLER, CALLED, 7001, data=b"b"),
    )
    assert [flow.up.joined()[0] for flow in flows.flows] == [b"a", b"b"]


def test_a_connection_older_than_the_capture_says_so() -> None:
    (flow,) = flow_of(tcp(CALLED, CALLER, 50, data=b"\x17\x03\x03\x00\x01x")).flows
    assert (flow.caller, flow.called, flow.begun) == (CALLER, CALLED, False)
    assert flow.judge().speech is Speech.CONTINUED


def test_datagrams_and_fragments_are_not_lost_sight_of() -> None:
    udp = (5353).to_bytes(2, "big") + (53).to_bytes(2, "big") + bytes(4) + b"question"
    flows = flow_of(
        ip(CALLER, CALLED, 17, udp), ip(CALLER, CALLED, 1, b"ping"), ip(CALLER, CALLED, 6, b"x" * 30, 0x2000)
    )
    assert [(one.protocol, one.target.port, one.data) for one in flows.datagrams] == [
        (17, 53, b"question"),
        (1, 0, b"ping"),
    ]
    assert flows.malformed == 1


@given(st.binary(max_size=120))
def test_no_packet_surprises_the_parser(data: bytes) -> None:
    for packet in (data, b"\x45" + data, b"\x60" + data):
        try:
            assert isinstance(parse(packet), Segment | Datagram)
        except MalformedError:
            continue
    Flows.of([data, b"\x45" + data])
