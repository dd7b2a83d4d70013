"""What a relay says of its caller before the first byte that it passes on: the PROXY protocol's second version.

Source: HAProxy's specification, ``doc/proxy-protocol.txt``, section 2.2. Twelve bytes that begin no other protocol,
version and command, family and transport, the length of what follows; then both addresses and ports, then anything
(TLVs), which is skipped unread. Pure, and whoever reads asks for no byte beyond the header's end: there TLS begins.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int]
"""(IP address, port)."""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MOST = 536
"""Bytes of a header, all told: the specification has it fit into one segment, and every network carries such a one (RFC
879). Two addresses take 52."""
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_TCP = {4: 0x11, 6: 0x21}
_SIZES = {0x11: 4, 0x21: 16}
_KNOWN = frozenset(family << 4 | transport for family in range(4) for transport in range(3))


class NotIntroducedError(Exception):
    """This is no such header, or none that names a caller."""


def header(caller: Address, reached: Address) -> bytes:
    """The header for a caller and the address where it arrived, both of one family. Raises ``ValueError``."""
    source, target = _plain(caller[0]), _plain(reached[0])
    if source.version != target.version:
        raise ValueError("two families")
    block = source.packed + target.packed + caller[1].to_bytes(2, "big") + reached[1].to_bytes(2, "big")
    return SIGNATURE + bytes((_PROXY, _TCP[source.version])) + len(block).to_bytes(2, "big") + block


def missing(data: bytes | bytearray) -> int:
    """How many bytes may be read before asking again; 0 when the header is whole.

    Raises :class:`NotIntroducedError` at the first byte that shows it: of the specification's combinations, TCP over
    IPv4 and IPv6 are taken, and any in a relay's own name (LOCAL).
    """
    if not SIGNATURE.startswith(bytes(data[: len(SIGNATURE)])):
        raise NotIntroducedError
    if len(data) < _FIXED:
        return _FIXED - len(data)
    command, kind, size = data[12], data[13], int.from_bytes(data[14:_FIXED], "big")
    if command not in {_LOCAL, _PROXY} or kind not in _KNOWN or _FIXED + size > MOST:
        raise NotIntroducedError
    if command == _PROXY and (kind not in _SIZES or size < 2 * _SIZES[kind] + 4):
        raise NotIntroducedError
    return _FIXED + size - len(data)


def caller_in(whole: bytes | bytearray) -> Address | None:
    """Whom a header that :func:`missing` called whole names; ``None`` if the relay speaks for itself."""
    if whole[12] == _LOCAL:
        return None
    size = _SIZES[whole[13]]
    ports = _FIXED + 2 * size
    source = ip_address(bytes(whole[_FIXED : _FIXED + size]))
    return str(source), int.from_bytes(whole[ports : ports + 2], "big")


def _plain(text: str) -> IPv4Address | IPv6Address:
    """Without a zone, and an IPv4 address as one also where a socket of both families calls it an IPv6 one."""
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
