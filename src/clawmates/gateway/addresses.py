"""Which addresses a mate may be connected to: public ones, and no other.

The tables are those of the IANA special-purpose registries
(https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry), written out so that the
answer does not depend on the Python version, whose ``is_global`` changed between 3.11 and 3.12.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, TypeAlias

from clawmates.gateway.decision import ALLOW, Decision, deny
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = IPv4Address | IPv6Address

FORBIDDEN_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform address, in public space
        "169.254.0.0/16",  # link-local; the metadata address of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
PUBLIC_6 = IPv6Network("2000::/3")
"""Global unicast. All else is denied unread: loopback, unspecified, v4-mapped and -compatible, NAT64, unique local
(with Amazon's metadata address), link-local, multicast, and whatever is yet to be assigned."""
FORBIDDEN_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)


def decide_address(address: Address) -> Decision:
    """Whether one resolved address is public. Unknown means deny."""
    if isinstance(address, IPv4Address):
        bad = any(address in network for network in FORBIDDEN_4)
    else:
        bad = (
            address.scope_id is not None
            or address not in PUBLIC_6
            or any(address in network for network in FORBIDDEN_6)
        )
    return deny(Refusal.ADDRESS_FORBIDDEN) if bad else ALLOW


def decide_addresses(addresses: Sequence[Address]) -> Decision:
    """Whether a name may be dialled: every one of its addresses is public, and there is one.

    One bad address among good ones denies the name: who answers so is not to be trusted with the rest.
    """
    if not addresses:
        return deny(Refusal.NAME_UNKNOWN)
    for address in addresses:
        decision = decide_address(address)
        if not decision.allowed:
            return decision
    return ALLOW


def parse_address(text: str) -> Address | None:
    """An address in its canonical spelling; ``None`` for names and for decimal, octal or short forms."""
    try:
        return ip_address(text)
    except ValueError:
        return None
