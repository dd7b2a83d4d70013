"""IP packets as a capture gives them (RFC 791, 8200, 9293, 768)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_HOP_BY_HOP, _ROUTING, _DESTINATION, _FRAGMENT = 0, 43, 60, 44

Address: TypeAlias = IPv4Address | IPv6Address


class MalformedError(ValueError):
    """No packet that can be read."""


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of a connection."""

    address: Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a TCP connection."""

    source: End
    target: End
    sequence: int
    flags: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Datagram:
    """A packet of UDP, or of anything that has no ports (then they are 0)."""

    source: End
    target: End
    protocol: int
    data: bytes = field(repr=False)


def parse(packet: bytes) -> Segment | Datagram:
    """One IP packet. Raises :class:`MalformedError`; a fragment is one, for what it holds cannot be told."""
    if not packet:
        raise MalformedError
    match packet[0] >> 4:
        case 4:
            return _version_4(packet)
        case 6:
            return _version_6(packet)
        case _:
            raise MalformedError


def _version_4(packet: bytes) -> Segment | Datagram:
    head = (packet[0] & 15) * 4
    total = int.from_bytes(packet[2:4], "big")
    # A length of 0 is the kernel's own, for packets that it leaves to the card to cut.
    end = total or len(packet)
    if head < 20 or len(packet) < head or not head <= end <= len(packet):
        raise MalformedError
    if int.from_bytes(packet[6:8], "big") & 0x3FFF:
        raise MalformedError
    return _transport(packet[9], ip_address(packet[12:16]), ip_address(packet[16:20]), packet[head:end])


def _version_6(packet: bytes) -> Segment | Datagram:
    if len(packet) < 40:
        raise MalformedError
    size = int.from_bytes(packet[4:6], "big")
    end = 40 + size if size else len(packet)
    if end > len(packet):
        raise MalformedError
    protocol, at = packet[6], 40
    while protocol in {_HOP_BY_HOP, _ROUTING, _DESTINATION}:
        if at + 2 > end:
            raise MalformedError
        protocol, at = packet[at], at + 8 + packet[at + 1] * 8
    if protocol == _FRAGMENT or at > end:
        raise MalformedError
    return _transport(protocol, ip_address(packet[8:24]), ip_address(packet[24:40]), packet[at:end])


def _transport(protocol: int, source: Address, target: Address, rest: bytes) -> Segment | Datagram:
    if protocol == TCP:
        head = (rest[12] >> 4) * 4 if len(rest) >= 20 else 0
        if not 20 <= head <= len(rest):
            raise MalformedError
        return Segment(
            End(source, int.from_bytes(rest[:2], "big")),
            End(target, int.from_bytes(rest[2:4], "big")),
            int.from_bytes(rest[4:8], "big"),
            rest[13],
            rest[head:],
        )
    if protocol == UDP:
        if len(rest) < 8:
            raise MalformedError
        ports = End(source, int.from_bytes(rest[:2], "big")), End(target, int.from_bytes(rest[2:4], "big"))
        return Datagram(*ports, protocol, rest[8:])
    return Datagram(End(source, 0), End(target, 0), protocol, rest)
