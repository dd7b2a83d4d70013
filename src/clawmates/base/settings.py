"""``clawmates.toml``: one file, read by every process, unknown keys refused, no secret inside."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from clawmates.base.paths import DEFAULT_RUN, Run, State
from clawmates.base.shape import ShapeError, decode

_CONTACT = re.compile(r"mailto:[^\s@]+@[^\s@]+|https://\S+|tel:\+?[0-9][0-9()./-]*")
"""A URI that RFC 9116, section 2.5.3, lets stand as a contact."""


class SettingsError(Exception):
    """The configuration cannot be used."""


class Mode(StrEnum):
    """Who decides what runs: a file on this host, or control."""

    SELF_HOST = "self-host"
    HOSTED = "hosted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """``[platform]``."""

    mode: Mode = Mode.SELF_HOST
    region: str = "local"
    domain: str = "localhost"
    run: str = str(DEFAULT_RUN)
    unsafe_clock_offset: float = 0.0
    """Seconds added to every clock; tests only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """``[vault]``."""

    listen: str = "127.0.0.1:7441"
    master_key: str = "file:master.key"
    """``file:NAME`` below the vault's state folder or an absolute path; ``pkcs11:…`` (RFC 7512); ``aws-kms:ARN``."""
    old_master_key: str = ""
    """The master key before it, named while another takes over."""
    keys_copy: str = ""
    """Where the one separate copy of ``keys.db`` is kept: an absolute path, best on another disk; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """``[gateway.limits]``: per bot."""

    connections: int = 32
    parked: int = 4
    """Connections that wait to be called."""
    bytes_per_second: int = 16 * 1024 * 1024
    """In each direction; 0 is no limit."""
    idle_seconds: float = 300.0
    total_seconds: float = 3600.0
    turns_per_minute: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """``[gateway]``."""

    ingress: str = ""
    """Where callers from outside arrive, ``ADDRESS:PORT``; empty: nobody calls in."""
    control: str = ""
    """Where a caller goes who names the platform's own domain, ``ADDRESS:PORT``; empty: nowhere."""
    resolver: str = ""
    """``ADDRESS:PORT#NAME`` of a DNS-over-TLS server; empty is the machine's own resolver."""
    unsafe_resolver_ca: str = ""
    """PEM file that the DNS-over-TLS server is checked against instead of the public roots; tests only."""
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    ollama: str = "127.0.0.1:11434"
    """What the reserved name ``ollama`` means."""
    unsafe_resolve: Mapping[str, str] = field(default_factory=dict)
    """``{"api.telegram.org" = "127.0.0.1:7450"}``: stand-ins instead of DNS; tests only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """``[node]``."""

    name: str = "node-1"
    engine: str = "podman"
    runtime: str = ""
    """The OCI runtime; empty chooses the first that works here."""
    release_key: str = ""
    """Base64 Ed25519 public key that signs releases; without it nothing runs."""
    memory_mib: int = 128
    """Memory limit of one container."""
    most_bots: int = 0
    """How many bots control may give this host; 0 is what its memory holds."""
    unsafe_extra_ca: str = ""
    """PEM file that mates trust beside the public roots; tests only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """``[backup]``."""

    recipient: str = ""
    """Base64 X25519 public key that backups are sealed to; its private half stays with the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """``[control.smtp]``: without a host, sign-in links are shown on the controlling terminal only."""

    host: str = ""
    """``HOST:PORT`` of a server that speaks TLS 1.3 from the first byte (RFC 8314, "implicit TLS", often port 465)."""
    starttls: bool = False
    """The server speaks it only after STARTTLS (often port 587); one that then does not is not written to."""
    sender: str = ""
    """``bots@example.org`` or ``Our bots <bots@example.org>``."""
    user: str = ""
    password_file: str = ""
    """Of control's own user, 0600; read again for every message."""
    authority: str = ""
    """PEM file that the server is checked against instead of the public roots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """``[control]``: the hosted service; not started in self-host mode."""

    listen: str = "127.0.0.1:8443"
    """Where browsers arrive."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of the relays that browsers come through, each of which says whom it speaks for (PROXY
    protocol, version 2) as the gateway does; nobody else is let in then. Empty: browsers come by themselves."""
    nodes: str = "127.0.0.1:7442"
    """Where nodes arrive, with a certificate; and where a node looks for control."""
    origin: str = "https://localhost:8443"
    """The one address that people know it by; passkeys are bound to it."""
    database: str = ""
    """Empty: SQLite in the state folder. Else ``postgresql://USER@HOST:PORT/NAME``, always TLS 1.3 and verify-full."""
    database_authority: str = ""
    """PEM file that PostgreSQL's certificate is checked against."""
    database_password_file: str = ""
    """Of control's own user, 0600; empty: a client certificate, or none is needed."""
    smtp: Smtp = field(default_factory=Smtp)
    certificate: str = ""
    """PEM file that browsers are shown; empty: one of the local authority, which only its own machine trusts."""
    key: str = ""
    """Its key, PEM, of control's own user, 0600."""
    lease_seconds: int = 3600
    """How long a node may run a bot without a word from the vault; so long a lost node's bots wait to be moved."""
    controller: str = ""
    """Who operates the platform, as it stands under an agreement and in the record: name, address, e-mail."""
    representative: str = ""
    """Their representative or data protection officer, and how to reach them; empty where they need none."""
    hosting: str = ""
    """Who rents out the machines, and where these stand."""
    security_contact: str = ""
    """Whom to tell of a weakness: ``mailto:…``, ``https://…`` or ``tel:…``; it stands in ``security.txt``."""

    def __post_init__(self) -> None:
        if self.security_contact and not _CONTACT.fullmatch(self.security_contact):
            raise ValueError("security_contact is mailto:NAME@HOST, https://HOST/… or tel:+NUMBER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file."""

    platform: Platform = field(default_factory=Platform)
    vault: Vault = field(default_factory=Vault)
    gateway: Gateway = field(default_factory=Gateway)
    node: Node = field(default_factory=Node)
    backup: Backup = field(default_factory=Backup)
    control: Control = field(default_factory=Control)

    @property
    def hosted(self) -> bool:
        """Whether control decides what runs, and not a file on this host."""
        return self.platform.mode is Mode.HOSTED

    @property
    def run(self) -> Run:
        """The runtime folder."""
        return Run(Path(self.platform.run))

    @property
    def unsafe(self) -> tuple[str, ...]:
        """The names of all dangerous switches that are on."""
        switches = {
            "platform.unsafe_clock_offset": self.platform.unsafe_clock_offset,
            "gateway.unsafe_resolve": self.gateway.unsafe_resolve,
            "gateway.unsafe_resolver_ca": self.gateway.unsafe_resolver_ca,
            "node.unsafe_extra_ca": self.node.unsafe_extra_ca,
        }
        return tuple(name for name, value in switches.items() if value)


def load(path: Path) -> Settings:
    """Reads ``path``; raises :class:`SettingsError` with the sentence to show."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"cannot read {path}: {reason}") from None
    try:
        return decode(Settings, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    except ShapeError as error:
        raise SettingsError(f"{path}: {error}") from None


def state_of(config: Path) -> State:
    """The state folder that a configuration file stands in."""
    return State(config.resolve().parent)


def address(listen: str) -> tuple[str, int]:
    """``127.0.0.1:7441`` or ``[::1]:7441`` as (host, port); raises :class:`SettingsError`."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 0xFFFF:
        raise SettingsError(f"{listen!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def resolver_address(settings: Settings) -> tuple[str, int, str]:
    """(address, port, name) of the DNS-over-TLS server: its certificate must carry the name.

    Raises :class:`SettingsError`; a server that had to be looked up itself would be asked for in the clear.
    """
    where, mark, name = settings.gateway.resolver.partition("#")
    host, port = address(where)
    try:
        ip_address(host)
    except ValueError:
        raise SettingsError(f"gateway.resolver: {host!r} is not an IP address, and it is not resolved") from None
    if not mark or not name:
        raise SettingsError("gateway.resolver is not ADDRESS:PORT#NAME")
    return host, port, name


def proxies(settings: Settings) -> tuple[IPv4Network | IPv6Network, ...]:
    """Whom control's web listener believes who its caller is; raises :class:`SettingsError`.

    Also where this host's gateway passes callers to it and would not be understood.
    """
    gateway, control = settings.gateway.control, settings.control
    if gateway and not control.proxies:
        (host, port), (own, listens) = address(gateway), address(control.listen)
        if port == listens and (host == own or host in {"localhost", "127.0.0.1", "::1"}):
            raise SettingsError(
                "[gateway] control passes callers to control and says who they are, but control does not listen for"
                ' that: set [control] proxies = ["127.0.0.1"]'
            )
    try:
        return tuple(ip_network(one) for one in control.proxies)
    except ValueError:
        raise SettingsError("control.proxies: each is an IP address, or a network as 10.0.0.0/24") from None


def vault_address(settings: Settings) -> tuple[str, int]:
    """Where vault listens; a port of 0 is looked up in ``ports.json``. Raises :class:`SettingsError`."""
    return _where(settings, "vault", settings.vault.listen)


def ingress_address(settings: Settings) -> tuple[str, int]:
    """Where callers arrive at the gateway, which must be wanted; as :func:`vault_address`."""
    return _where(settings, "ingress", settings.gateway.ingress)


def web_address(settings: Settings) -> tuple[str, int]:
    """Where control listens to browsers; as :func:`vault_address`."""
    return _where(settings, "web", settings.control.listen)


def nodes_address(settings: Settings) -> tuple[str, int]:
    """Where control listens to nodes; as :func:`vault_address`."""
    return _where(settings, "nodes", settings.control.nodes)


def _where(settings: Settings, name: str, listen: str) -> tuple[str, int]:
    host, port = address(listen)
    if port:
        return host, port
    try:
        known = json.loads(settings.run.ports.read_bytes())
        return host, int(known[name])
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingsError(f"{name} listens on port 0 and {settings.run.ports} does not say which it got") from None
