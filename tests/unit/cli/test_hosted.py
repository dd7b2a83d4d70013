from __future__ import annotations

import click
import pytest

from clawmates.cli.hosted import behind_the_gateway


@pytest.mark.parametrize(
    ("web", "relay"),
    [
        ("127.0.0.1:8443", "127.0.0.1"),
        ("localhost:8443", "127.0.0.1"),
        ("0.0.0.0:8443", "127.0.0.1"),
        ("[::]:8443", "::1"),
        ("10.0.0.7:8443", "10.0.0.7"),
    ],
)
def test_one_public_port_is_three_sections_that_fit(web: str, relay: str) -> None:
    assert behind_the_gateway("0.0.0.0:443", web, "https://bots.example.org") == {
        "platform": {"domain": "bots.example.org"},
        "gateway": {"ingress": "0.0.0.0:443", "control": web},
        "control": {"proxies": [relay]},
    }


@pytest.mark.parametrize(
    ("ingress", "web", "origin"),
    [
        ("443", "127.0.0.1:8443", "https://bots.example.org"),
        ("0.0.0.0:443", "web.example:8443", "https://bots.example.org"),
        ("0.0.0.0:443", "127.0.0.1:0", "https://bots.example.org"),
        ("0.0.0.0:443", "127.0.0.1:8443", "bots"),
    ],
)
def test_what_does_not_fit_is_a_matter_of_usage(ingress: str, web: str, origin: str) -> None:
    with pytest.raises(click.UsageError, match="with --ingress"):
        behind_the_gateway(ingress, web, origin)
