"""What a hostile mate would ask for: every spelling, names that are not listed, listed ones that resolve badly."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain

GOOD_4, GOOD_6 = IPv4Address("11.22.33.44"), IPv6Address("2a00:1450::44")
"""What an honest name resolves to in the trial's world."""

FORBIDDEN = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.254", "100.64.0.1", "100.100.100.200", "127.0.0.1"),  # noqa: S104
    *("127.255.255.254", "168.63.129.16", "169.254.1.1", "169.254.169.254", "169.254.170.2", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.192", "192.0.2.7", "192.88.99.1", "192.168.0.1", "192.168.255.255"),
    *("198.18.0.99", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"),
    *("64:ff9b:1::a00:1", "100::1", "2001::1", "2001:2::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1"),
    *("2002:a00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
)
SPELLINGS = (
    # 127.0.0.1 and 169.254.169.254 as people write them to get past a filter
    *("127.0.0.1:443", "2130706433:443", "0x7f000001:443", "0x7F000001:443", "017700000001:443", "127.1:443"),
    *("127.0.1:443", "0177.0.0.1:443", "0x7f.0.0.1:443", "0x7f.1:443", "00000177.0.0.1:443", "127.0.0.1.:443"),
    *("2852039166:443", "0xa9fea9fe:443", "0251.0376.0251.0376:443", "169.254.43518:443", "169.254.169.254:80"),
    *("0:443", "0.0.0.0:443", "[::1]:443", "[::]:443", "::1:443", "[::ffff:127.0.0.1]:443", "[::ffff:7f00:1]:443"),
    *("[64:ff9b::127.0.0.1]:443", "[fe80::1%25lo]:443", "[fe80::1%lo]:443", "fe80::1%lo:443", "[2002:7f00:1::]:443"),
    # listed.example, not quite
    *("good.listed.example.:443", "GOOD.listed.example:443", "good.listed.example..:443", ".good.listed.example:443"),
    *("good.listed.example%00:443", "good.listed.example%2e:443", "good.listed.example:0443", "good.listed.example"),
    *("good.listed.example:+443", "good.listed.example:443@evil.example:443", "evil.example@good.listed.example:443"),
    *("good.listed.example:80", "good.listed.example:22", "good.listed.example:65536", "good.listed.example:-1"),
    *("https://good.listed.example:443", "good_.listed.example:443", "-good.listed.example:443"),
    # full-width, ideographic and other dots; a look-alike letter; a name in another script
    *(
        "good\u3002listed\u3002example:443",
        "good\uff0elisted\uff0eexample:443",
        "g\u043e\u043ed.listed.example:443",
        "bücher.example:443",
    ),
    *("\uff47\uff4f\uff4f\uff44.listed.example:443", "①②⑦.⓪.⓪.①:443"),
)
UNLISTED = (
    *("evil.example:443", "listed.example:443", "other.listed.example:443", "sub.good.listed.example:443"),
    *("xgood.listed.example:443", "good.listed.example.evil.example:443", "goodlisted.example:443"),
    *("xn--bcher-kva.example:443", "xn--gd-kmca.listed.example:443", "localhost:443", "localhost.localdomain:443"),
    *("ip6-localhost:443", "ollama:443", "metadata:443", "metadata.google.internal:443", "instance-data:443"),
    *("host.docker.internal:443", "host.containers.internal:443", "kubernetes.default.svc:443", "gateway:443"),
    *("127.0.0.1.nip.example:443", "7f000001.rebind.example:443", "a:443", "evil.example:53", "evil.example:8443"),
)


@dataclass(frozen=True, slots=True)
class Zone:
    """What the trial's DNS server says: addresses by name; aliases; every other name has good addresses."""

    addresses: dict[str, tuple[IPv4Address | IPv6Address, ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def bad_zone() -> Zone:
    """Names that the bot may ask for and that resolve to where it must not go."""
    zone = Zone()
    for number, text in enumerate(FORBIDDEN):
        zone.addresses[f"bad-{number}.listed.example"] = (ip_address(text),)
    one, loop = ip_address("10.9.8.7"), ip_address("::1")
    mixed = {
        "first-bad": (one, GOOD_4),
        "last-bad": (GOOD_4, IPv4Address("11.22.33.45"), IPv4Address("11.22.33.46"), one),
        "other-family-bad": (GOOD_4, loop),
        "other-family-good": (GOOD_6, one),
        "many-one-bad": (*(GOOD_4 + number for number in range(20)), IPv4Address("127.0.0.53")),
    }
    for name, addresses in mixed.items():
        zone.addresses[f"{name}.listed.example"] = addresses
    zone.aliases["alias.listed.example"] = "inside.evil.example"
    zone.addresses["inside.evil.example"] = (IPv4Address("192.168.7.7"),)
    zone.addresses["empty.listed.example"] = ()
    return zone


def listed(zone: Zone) -> tuple[str, ...]:
    """The bot's allow-list."""
    names = chain(zone.addresses, zone.aliases)
    return ("good.listed.example", *(name for name in names if name.endswith(".listed.example")))
