"""Ways to a network, to the host's own services, and to other bots."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from contextlib import suppress

from clawmates.proofs.probes.inside.frame import Control, Marks, StoppedError, UnclearError, probe

SECONDS = 2.0
NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)
GET_FLAGS, SET_FLAGS = 0x8913, 0x8914
"""SIOCGIFFLAGS and SIOCSIFFLAGS (netdevice(7))."""
FAMILIES = {
    "netlink": 16,
    "key": 15,
    "packet": 17,
    "rds": 21,
    "can": 29,
    "tipc": 30,
    "bluetooth": 31,
    "alg": 38,
    "vsock": 40,
    "kcm": 41,
    "qipcrtr": 42,
    "smc": 43,
    "xdp": 44,
}
"""linux/socket.h: those that a mate has no use for, and that kernels are often built with."""
QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05probe\x07example\x00\x00\x01\x00\x01"
"""A question for the address of ``probe.example`` (RFC 1035)."""


def _connect(family: int, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as there:
        there.settimeout(SECONDS)
        there.connect(address)  # type: ignore[arg-type]  # what an address is depends on the family


@probe(Control.HOST_NETWORK, errno.ECONNREFUSED)
def loopback_of_the_host(marks: Marks) -> str:
    """Connect to a server on the host's own loopback address."""
    _connect(socket.AF_INET, ("127.0.0.1", marks.loopback))
    return "connected"


@probe(Control.HOST_NETWORK, errno.ECONNREFUSED)
def vault_past_the_door(marks: Marks) -> str:
    """Connect to the vault's port directly, past the door."""
    _connect(socket.AF_INET, marks.vault)
    return "connected"


@probe(Control.HOST_NETWORK, errno.ECONNREFUSED)
def abstract_socket_of_the_host(marks: Marks) -> str:
    """Connect to an abstract unix socket of the host, which no mount can hide."""
    _connect(socket.AF_UNIX, "\0" + marks.abstract)
    return "connected"


@probe(Control.OUTSIDE, *NO_WAY)
def metadata_of_the_cloud(marks: Marks) -> str:
    """Connect to the address where clouds hand out credentials of the machine."""
    _connect(socket.AF_INET, (marks.metadata, 80))
    return "connected"


@probe(Control.OUTSIDE, *NO_WAY)
def address_on_the_internet(marks: Marks) -> str:
    """Connect to a public address without the door."""
    _connect(socket.AF_INET, (marks.internet, 443))
    return "connected"


@probe(Control.OUTSIDE, *NO_WAY)
def question_to_a_resolver(marks: Marks) -> str:
    """Ask a name server; names alone can carry text out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.settimeout(SECONDS)
        there.sendto(QUESTION, (marks.resolver, 53))
        there.recv(512)
    return "answered"


@probe(Control.ROOT)
def raw_socket(_marks: Marks) -> str:
    """Open a raw socket, to forge packets."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "opened"


@probe(Control.ROOT)
def packet_socket(_marks: Marks) -> str:
    """Open a packet socket, to listen in."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return "opened"


@probe(Control.ROOT)
def change_the_network(_marks: Marks) -> str:
    """Switch a network interface on or off (here: leave it as it is)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        asked = fcntl.ioctl(there, GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        fcntl.ioctl(there, SET_FLAGS, asked)
    return "may change it"


@probe(Control.UNFILTERED, errno.EAFNOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT)
def sockets_of_other_families(_marks: Marks) -> str:
    """Open a socket that network namespaces do not hold, such as one to the hypervisor, or one to rare kernel code."""
    refused: OSError | None = None
    opened = []
    for name, family in FAMILIES.items():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(family, kind, 0).close()
            except OSError as error:
                refused = error
            else:
                opened.append(name)
                break
    if opened:
        return " ".join(opened)
    raise refused or UnclearError


def _ask_something(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
        there.settimeout(SECONDS)
        there.connect(path)
        there.sendall(b"GET /probe HTTP/1.1\r\nHost: door\r\n\r\n")
        with suppress(ConnectionError):
            if there.recv(16):
                return
    raise StoppedError("closed without a word")


@probe(Control.NEIGHBOUR, errno.ENOENT, errno.ECONNREFUSED)
def door_of_another_bot(marks: Marks) -> str:
    """Speak through another bot's door."""
    if not marks.neighbour:
        raise UnclearError("there is no other bot")
    _ask_something(marks.neighbour)
    return "it answered"


@probe(Control.ROOT, errno.ENOENT, errno.ECONNREFUSED)
def socket_of_node(marks: Marks) -> str:
    """Speak to node, which starts containers."""
    _ask_something(marks.sockets["node"])
    return "it answered"


@probe(Control.ROOT, errno.ENOENT, errno.ECONNREFUSED)
def socket_of_the_gateway(marks: Marks) -> str:
    """Speak to the gateway as node does, to have a host allowed."""
    _ask_something(marks.sockets["gateway"])
    return "it answered"
