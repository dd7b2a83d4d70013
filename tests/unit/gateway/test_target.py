from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.gateway import target
from clawmates.gateway.decision import ALLOW
from clawmates.gateway.target import Target, decide_target, parse_target
from clawmates.wire.door import Refusal
from clawmates.wire.names import check_host

LISTED = ("api.telegram.org", "api.openai.com")
MALFORMED = [
    "",
    "api.telegram.org",
    ":443",
    "api.telegram.org:",
    "api.telegram.org:0443",
    "api.telegram.org:+443",
    "api.telegram.org:443 ",
    "api.telegram.org:65536",
    "api.telegram.org:999999",
    "api.telegram.org.:443",
    ".api.telegram.org:443",
    "api..telegram.org:443",
    "API.telegram.org:443",
    "api_x.telegram.org:443",
    "-api.telegram.org:443",
    "api-.telegram.org:443",
    "api.telegram.org%00:443",
    "user@api.telegram.org:443",
    "https://api.telegram.org:443",
    "api.telegram.org:443/",
    "bücher.example:443",
    "127.0.0.1:443",
    "2130706433:443",
    "0x7f000001:443",
    "0x:443",
    "0177.0.0.01:443",
    "127.1:443",
    "api.telegram.0x7f:443",
    "[::1]:443",
    "::1:443",
    "[fe80::1%25eth0]:443",
    "a" * 64 + ".example:443",
    ".".join(["a" * 63] * 4) + ":443",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_target(text: str) -> None:
    assert parse_target(text) is None


@pytest.mark.parametrize(
    "host", ["vault", "ollama", "a", "x1.example", "xn--bcher-kva.example", "1.example", "0x1.com"]
)
def test_well_formed_target(host: str) -> None:
    assert parse_target(f"{host}:443") == Target(host, 443)


def test_longest_name() -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(name) == 253
    assert parse_target(f"{name}:443") == Target(name, 443)


@given(st.text(max_size=80))
def test_any_text_gives_a_strict_name_or_nothing(text: str) -> None:
    found = parse_target(text)
    if found is not None:
        assert text == f"{check_host(found.host)}:{found.port}"


@given(
    st.from_regex(
        re.compile(r"(0x[0-9a-f]{1,8}|[0-9]{1,11})(\.(0x[0-9a-f]{1,4}|[0-9]{1,5})){0,3}", re.ASCII), fullmatch=True
    )
)
def test_nothing_that_the_c_library_reads_as_an_address_is_a_name(text: str) -> None:
    try:
        socket.inet_aton(text)
    except OSError:
        return
    assert parse_target(f"{text}:443") is None


def test_weakened_without_the_rule_numbers_would_be_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_NUMBER", re.compile("(?!)"))
    assert parse_target("2130706433:443") is not None
    assert socket.inet_aton("2130706433") == b"\x7f\0\0\1"


def test_listed_host_is_allowed() -> None:
    assert decide_target(Target("api.openai.com", 443), LISTED) == ALLOW


def test_unlisted_host_is_denied() -> None:
    denied = decide_target(Target("evil.example", 443), LISTED)
    assert denied.reason is Refusal.HOST_NOT_LISTED
    assert decide_target(Target("evil.example", 443), (*LISTED, "evil.example")) == ALLOW


@pytest.mark.parametrize("host", ["sub.api.openai.com", "openai.com", "api.openai.com.evil.example", "xapi.openai.com"])
def test_neighbours_of_a_listed_host_are_denied(host: str) -> None:
    assert decide_target(Target(host, 443), LISTED).reason is Refusal.HOST_NOT_LISTED


def test_only_the_tls_port() -> None:
    assert decide_target(Target("api.openai.com", 80), LISTED).reason is Refusal.PORT_NOT_ALLOWED
    assert decide_target(Target("vault", 7441), LISTED).reason is Refusal.PORT_NOT_ALLOWED


def test_vault_is_always_listed_and_ollama_only_when_listed() -> None:
    assert decide_target(Target("vault", 443), ()) == ALLOW
    assert decide_target(Target("ollama", 443), LISTED).reason is Refusal.HOST_NOT_LISTED
    assert decide_target(Target("ollama", 443), ("ollama",)) == ALLOW
