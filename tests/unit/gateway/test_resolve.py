from __future__ import annotations

import asyncio
import json
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

import pytest

from clawmates.base.settings import Gateway, Mode, Platform, Settings, SettingsError, Vault
from clawmates.gateway.addresses import decide_addresses
from clawmates.gateway.dial import TcpDialler, UnreachableError
from clawmates.gateway.resolve import Endpoint, FixedHosts, LookupFailedError, SystemResolver
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from pathlib import Path


def fixed(**gateway: object) -> FixedHosts:
    return FixedHosts(Settings(gateway=Gateway(**gateway)))  # type: ignore[arg-type]


def endpoint(text: str, port: int) -> Endpoint:
    return Endpoint((ip_address(text),), port)


def test_reserved_names_have_fixed_addresses() -> None:
    assert fixed().find("vault") == endpoint("127.0.0.1", 7441)
    assert fixed(ollama="[::1]:99").find("ollama") == endpoint("::1", 99)
    assert fixed(ollama="localhost:99").find("ollama") == endpoint("127.0.0.1", 99)
    assert fixed().find("api.openai.com") is None


@pytest.mark.parametrize(
    ("listen", "dialled"), [("0.0.0.0:1", "127.0.0.1"), ("[::]:1", "::1"), ("10.0.0.1:1", "10.0.0.1")]
)
def test_vault_elsewhere(listen: str, dialled: str) -> None:
    assert FixedHosts(Settings(vault=Vault(listen=listen))).find("vault") == endpoint(dialled, 1)


def test_vault_port_is_looked_up_anew(run_folder: Path) -> None:
    settings = Settings(platform=Platform(run=str(run_folder)), vault=Vault(listen="127.0.0.1:0"))
    hosts = FixedHosts(settings)
    with pytest.raises(SettingsError):
        hosts.find("vault")
    for port in (1234, 4321):
        settings.run.ports.write_text(json.dumps({"vault": port}))
        assert hosts.find("vault") == endpoint("127.0.0.1", port)


def test_stand_ins() -> None:
    hosts = fixed(unsafe_resolve={"api.telegram.org": "127.0.0.1:7450", "x.example": "[::1]:7451"})
    assert hosts.find("api.telegram.org") == endpoint("127.0.0.1", 7450)
    assert hosts.find("x.example") == endpoint("::1", 7451)
    assert hosts.find("y.example") is None


@pytest.mark.parametrize(
    "gateway",
    [
        {"unsafe_resolve": {"API.telegram.org": "127.0.0.1:1"}},
        {"unsafe_resolve": {"vault": "127.0.0.1:1"}},
        {"unsafe_resolve": {"ollama": "127.0.0.1:1"}},
        {"unsafe_resolve": {"api.telegram.org": "127.0.0.1"}},
        {"unsafe_resolve": {"api.telegram.org": "stand-in.example:1"}},
        {"unsafe_resolve": {"api.telegram.org": "2130706433:1"}},
        {"ollama": "ollama.example:1"},
        {"ollama": "192.168.1.5:11434"},
        {"ollama": "0x7f.1:11434"},
    ],
)
def test_refused_settings(gateway: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        fixed(**gateway)


def test_no_plaintext_in_hosted_mode() -> None:
    hosted = Settings(platform=Platform(mode=Mode.HOSTED))
    with pytest.raises(SettingsError):
        FixedHosts(hosted).find("ollama")
    assert FixedHosts(Settings()).find("ollama") == endpoint("127.0.0.1", 11434)


class TestSystem:
    async def test_asks_for_the_very_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        async def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
            asked.append(host)
            entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))
            return [entry, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 0, 0, 1)), entry]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        found = await SystemResolver().lookup("api.openai.com")
        assert found == (IPv4Address("8.8.8.8"), IPv6Address("fe80::1%lo"))
        assert asked == ["api.openai.com."], "the dot keeps the search list out"
        assert decide_addresses(found).reason is Refusal.ADDRESS_FORBIDDEN

    async def test_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        with pytest.raises(LookupFailedError):
            await SystemResolver().lookup("api.openai.com")


class TestDial:
    async def test_first_that_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            # Nobody listens on ::1 at that port, nor on the second loopback address.
            three = (IPv6Address("::1"), IPv4Address("127.0.0.2"), IPv4Address("127.0.0.1"))
            with await TcpDialler().dial(Endpoint(three, port)) as sock:
                assert sock.getpeername() == ("127.0.0.1", port)
                assert not sock.getblocking()

    async def test_none_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(UnreachableError):
            await TcpDialler().dial(endpoint("127.0.0.1", port))

    async def test_slow_one_is_left_for_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("clawmates.gateway.dial.ATTEMPT_SECONDS", 0.02)

        async def sock_connect(sock: socket.socket, where: tuple[str, int]) -> None:
            assert where == ("127.0.0.1", 443)
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
        with pytest.raises(UnreachableError):
            await TcpDialler().dial(endpoint("127.0.0.1", 443))

    async def test_cancelled_attempt_leaves_no_socket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        socks: list[socket.socket] = []

        async def sock_connect(sock: socket.socket, _where: object) -> None:
            socks.append(sock)
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(TcpDialler().dial(endpoint("127.0.0.1", 443)), 0.02)
        assert socks[0].fileno() == -1

    async def test_family_that_this_host_lacks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_socket(*_: object) -> None:
            raise OSError(97, "Address family not supported by protocol")

        monkeypatch.setattr("clawmates.gateway.dial.socket.socket", no_socket)
        with pytest.raises(UnreachableError):
            await TcpDialler().dial(endpoint("::1", 443))
