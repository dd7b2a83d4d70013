"""From a listed name to addresses: by DNS, or by what the configuration fixes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from clawmates.base.settings import Mode, SettingsError, address, vault_address
from clawmates.gateway.addresses import Address, parse_address
from clawmates.gateway.target import RESERVED
from clawmates.wire.door import OLLAMA_HOST, VAULT_HOST
from clawmates.wire.names import check_host

if TYPE_CHECKING:
    from clawmates.base.settings import Settings


class LookupFailedError(Exception):
    """The name has no address, or nobody who knows it answers."""


class Resolver(Protocol):
    """Asks the outside world for a name."""

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """Every address of ``host``, in the order to try; raises :class:`LookupFailedError`."""
        ...


class SystemResolver:
    """The machine's resolver, in a thread (getaddrinfo(3))."""

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """The dot at the end keeps the search list of resolv.conf out of it."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host + ".", None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise LookupFailedError from None
        return tuple(dict.fromkeys(ip_address(str(sockaddr[0])) for *_, sockaddr in found))


@dataclass(slots=True)
class FakeResolver:
    """Knows what it is told, and counts who asks."""

    names: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def lookup(self, host: str) -> tuple[Address, ...]:
        """Raises :class:`LookupFailedError` for any other name."""
        self.asked.append(host)
        try:
            return self.names[host]
        except KeyError:
            raise LookupFailedError from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a host is reached."""

    addresses: tuple[Address, ...]
    port: int


class FixedHosts:
    """Hosts that are never resolved: the reserved names, and stand-ins under ``unsafe_resolve``."""

    def __init__(self, settings: Settings) -> None:
        """Raises :class:`~clawmates.base.settings.SettingsError`."""
        self._settings = settings
        self._known: Mapping[str, Endpoint] = MappingProxyType(
            {host: _endpoint(f"unsafe_resolve.{host}", where) for host, where in self._stand_ins().items()}
            | ({OLLAMA_HOST: self._ollama()} if settings.platform.mode is Mode.SELF_HOST else {})
        )

    def find(self, host: str) -> Endpoint | None:
        """``None`` for a host that DNS decides.

        The vault's port is looked up anew each time, for it may have restarted. Raises
        :class:`~clawmates.base.settings.SettingsError` while it has none, or for a reserved name that is not offered.
        """
        if host == VAULT_HOST:
            where, port = vault_address(self._settings)
            return _endpoint("vault.listen", f"{where}:{port}")
        if host in RESERVED and host not in self._known:
            raise SettingsError(f"{host} is not offered here")
        return self._known.get(host)

    def _stand_ins(self) -> Mapping[str, str]:
        for host in self._settings.gateway.unsafe_resolve:
            try:
                check_host(host)
            except ValueError:
                raise SettingsError(f"gateway.unsafe_resolve: {host!r} is not a host name") from None
            if host in RESERVED:
                raise SettingsError(f"gateway.unsafe_resolve: {host!r} is a reserved name")
        return self._settings.gateway.unsafe_resolve

    def _ollama(self) -> Endpoint:
        """The only plaintext there is stays on this host."""
        endpoint = _endpoint("gateway.ollama", self._settings.gateway.ollama)
        if not all(one.is_loopback for one in endpoint.addresses):
            raise SettingsError("gateway.ollama is not on this host's loopback, and the way to it is not encrypted")
        return endpoint


def control_endpoint(settings: Settings) -> Endpoint | None:
    """Where callers of the platform's own name go. Raises :class:`~clawmates.base.settings.SettingsError`."""
    where = settings.gateway.control
    return _endpoint("gateway.control", where) if where else None


def _endpoint(key: str, listen: str) -> Endpoint:
    """``ADDRESS:PORT`` or ``localhost:PORT``; an unspecified address is this host's loopback."""
    host, port = address(listen)
    found = parse_address("127.0.0.1" if host == "localhost" else host)
    if found is None:
        raise SettingsError(f"{key}: {host!r} is not an IP address, and it is not resolved")
    if found.is_unspecified:
        found = ip_address("127.0.0.1" if found.version == 4 else "::1")
    return Endpoint((found,), port)
