from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.gateway import addresses
from clawmates.gateway.addresses import decide_address, decide_addresses, parse_address
from clawmates.gateway.decision import ALLOW, Verdict
from clawmates.wire.door import Refusal

FORBIDDEN = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "this network",
    "10.1.2.3": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.100.100.200": "Alibaba metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback, far end",
    "168.63.129.16": "Azure platform",
    "169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "172.16.0.1": "private",
    "172.31.255.255": "private, far end",
    "192.0.0.192": "Oracle metadata",
    "192.0.2.7": "documentation",
    "192.31.196.1": "AS112",
    "192.52.193.1": "multicast tunnelling",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "192.175.48.1": "AS112",
    "198.18.0.1": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::8.8.8.8": "v4-compatible",
    "::ffff:8.8.8.8": "v4-mapped",
    "::ffff:127.0.0.1": "v4-mapped loopback",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::7f00:1": "local NAT64",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:2::1": "benchmarking",
    "2001:20::1": "ORCHID",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "6to4 of loopback",
    "2620:4f:8000::1": "AS112",
    "3ffe::1": "6bone",
    "3fff::1": "documentation",
    "5f00::1": "segment routing",
    "fc00::1": "unique local",
    "fd00:ec2::254": "Amazon metadata",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local with a zone",
    "2a00:1450::1%eth0": "public with a zone",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}
PUBLIC = ["8.8.8.8", "149.154.167.220", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.1", "223.255.255.255"]
PUBLIC_6 = ["2001:67c:4e8:f004::9", "2a00:1450:4001::1", "2001:200::1", "2606:4700::1", "3ffd:ffff::1"]


@pytest.mark.parametrize("text", FORBIDDEN, ids=lambda text: f"{FORBIDDEN[text]} {text}")
def test_forbidden_address_is_denied(text: str) -> None:
    assert decide_address(ip_address(text)).reason is Refusal.ADDRESS_FORBIDDEN


@pytest.mark.parametrize("text", PUBLIC + PUBLIC_6)
def test_public_address_is_allowed(text: str) -> None:
    assert decide_address(ip_address(text)) == ALLOW


@pytest.mark.parametrize("text", [text for text in FORBIDDEN if ":" not in text])
def test_weakened_each_ipv4_denial_hangs_on_its_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(network for network in addresses.FORBIDDEN_4 if ip_address(text) not in network)
    monkeypatch.setattr(addresses, "FORBIDDEN_4", kept)
    assert decide_address(ip_address(text)) == ALLOW


@pytest.mark.parametrize("text", [text for text in FORBIDDEN if ":" in text and "%" not in text])
def test_weakened_each_ipv6_denial_hangs_on_the_tables(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "PUBLIC_6", IPv6Network("::/0"))
    monkeypatch.setattr(addresses, "FORBIDDEN_6", ())
    assert decide_address(ip_address(text)) == ALLOW


def test_one_bad_address_denies_the_name() -> None:
    good, bad = IPv4Address("8.8.8.8"), IPv4Address("10.0.0.1")
    assert decide_addresses([good, good]) == ALLOW
    assert decide_addresses([good, bad]).reason is Refusal.ADDRESS_FORBIDDEN
    assert decide_addresses([bad, good]).reason is Refusal.ADDRESS_FORBIDDEN


def test_no_address_at_all_is_an_unknown_name() -> None:
    assert decide_addresses([]).reason is Refusal.NAME_UNKNOWN


@given(st.ip_addresses(v=4).map(lambda one: IPv4Address(int(one))))
def test_what_python_calls_private_is_never_allowed(address: IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved:
        assert decide_address(address).verdict is Verdict.DENY


@given(st.ip_addresses(v=6).map(lambda one: IPv6Address(int(one))))
def test_what_python_calls_special_is_never_allowed(address: IPv6Address) -> None:
    embedded = address.ipv4_mapped or address.sixtofour or address.teredo
    if address.is_private or address.is_multicast or address.is_link_local or embedded:
        assert decide_address(address).verdict is Verdict.DENY


@pytest.mark.parametrize("text", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "127.0.0.1 ", ""])
def test_only_canonical_spellings_are_addresses(text: str) -> None:
    assert parse_address(text) is None
    assert parse_address("127.0.0.1") == IPv4Address("127.0.0.1")
