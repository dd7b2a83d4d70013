"""A world of one's own: a network namespace with a way out that leads nowhere, a DNS server, a packet capture."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from clawmates.resolver.message import AAAA, CNAME, A, MessageError, encode_name
from clawmates.trials.egress_targets import GOOD_4, GOOD_6, Zone

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ETH_P_ALL, PACKET_OUTGOING = 3, 4
WAY_OUT = "world0"
_TCP, _UDP = 6, 17
_SYN, _ACK = 0x02, 0x10


class NoWorldError(Exception):
    """No network namespace can be made here: root, /dev/net/tun and the ip command are needed."""


def enter(folder: Path) -> int:
    """Moves this process into namespaces of its own; returns the descriptor that keeps the way out open.

    Addresses of all kinds are routed to a device that nobody reads, so a connection that is tried is seen and goes
    nowhere. Names are asked of 127.0.0.1 and nowhere else. Raises :class:`NoWorldError`.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 or shutil.which("ip") is None:
        raise NoWorldError(NoWorldError.__doc__)
    _run("mount", "--make-rprivate", "/")
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: dns\n"), ("hosts", "\n")):
        (folder / name).write_text(text)
        where = Path("/etc", name).resolve()
        if where.exists():
            _run("mount", "--bind", str(folder / name), str(where))
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", WAY_OUT.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        raise NoWorldError(NoWorldError.__doc__) from None
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("0")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "addr", "add", "11.0.0.2/8", "dev", WAY_OUT)
    _run("ip", "-6", "addr", "add", "2a00::2/16", "dev", WAY_OUT, "nodad")
    _run("ip", "link", "set", WAY_OUT, "up")
    for family in ("-4", "-6"):
        _run("ip", family, "route", "add", "default", "dev", WAY_OUT)
    return tun


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        raise NoWorldError(NoWorldError.__doc__) from None


@dataclass(slots=True)
class Names(asyncio.DatagramProtocol):
    """The only DNS server of this world (RFC 1035), and who was asked for."""

    zone: Zone
    asked: Counter[str] = field(default_factory=Counter)
    """Questions for IPv4 addresses by name: a resolver asks for both families, so one lookup is one of these."""
    _transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Serves from now on."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 53))

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override] # what it is
        """Remembers where answers go."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One question."""
        name, kind, question = read_question(data)
        if kind == A:
            self.asked[name] += 1
        records = self._records(name, kind)
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        if self._transport is not None:
            self._transport.sendto(head + question + b"".join(records), addr)

    def _records(self, name: str, kind: int) -> list[bytes]:
        alias = self.zone.aliases.get(name)
        records = [] if alias is None else [encode_record(name, CNAME, encode_name(alias))]
        owner = alias or name
        found = self.zone.addresses.get(owner, (GOOD_4, GOOD_6))
        wanted = [address for address in found if kind == (A if address.version == 4 else AAAA)]
        return records + [encode_record(owner, kind, address.packed) for address in wanted]


def encode_record(name: str, kind: int, data: bytes) -> bytes:
    """A record that lives for no time (RFC 1035, section 4.1.3)."""
    return encode_name(name) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


def read_question(data: bytes) -> tuple[str, int, bytes]:
    """(name, kind, the question as it stands in the message); raises ``MessageError``."""
    at, labels = 12, []
    while at < len(data) and (size := data[at]):
        labels.append(data[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    if at + 5 > len(data):
        raise MessageError
    return ".".join(labels).lower(), int.from_bytes(data[at + 1 : at + 3], "big"), data[12 : at + 5]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A packet that begins something: the first of a TCP connection, or a datagram."""

    protocol: int
    address: IPv4Address | IPv6Address
    port: int


@dataclass(slots=True)
class Capture:
    """Every packet that leaves a socket of this namespace, on every interface (packet(7))."""

    attempts: Counter[Attempt] = field(default_factory=Counter)
    packets: int = 0
    _sock: socket.socket | None = None

    def open(self) -> None:
        """Watches from now on."""
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._read)

    def clear(self) -> None:
        """Forgets what was seen."""
        self._read()
        self.attempts.clear()

    def connections(self) -> Counter[Attempt]:
        """What was begun, our own DNS apart."""
        self._read()
        return Counter(
            {
                one: count
                for one, count in self.attempts.items()
                if not (one.protocol == _UDP and one.port == 53 and one.address == IPv4Address("127.0.0.1"))
            }
        )

    def _read(self) -> None:
        while self._sock is not None:
            try:
                data, where = self._sock.recvfrom(2048)
            except BlockingIOError:
                return
            if where[2] == PACKET_OUTGOING:
                self.packets += 1
                self._note(data)

    def _note(self, data: bytes) -> None:
        if data[0] >> 4 == 4:
            protocol, source, target, rest = data[9], data[12:16], data[16:20], data[(data[0] & 15) * 4 :]
        else:
            protocol, source, target, rest = data[6], data[8:24], data[24:40], data[40:]
        begins = protocol == _TCP and len(rest) > 13 and rest[13] & (_SYN | _ACK) == _SYN
        # A DNS answer leaves port 53 of loopback; every other datagram counts.
        asks = protocol == _UDP and not (rest[:2] == b"\0\x35" and ip_address(source).is_loopback)
        if begins or asks:
            self.attempts[Attempt(protocol, ip_address(target), int.from_bytes(rest[2:4], "big"))] += 1
