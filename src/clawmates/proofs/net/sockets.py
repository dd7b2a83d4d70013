"""Which sockets processes hold, from /proc (proc(5): /proc/PID/net/tcp, udp and unix; /proc/PID/fd)."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.proofs.net.packets import End

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROC = Path("/proc")
_LISTENING, _UNCONNECTED = 0x0A, 0x07
_ACCEPTS = 0x10000
"""include/linux/net.h: __SO_ACCEPTCON."""
_SOCKET = re.compile(r"socket:\[(\d+)\]")
UNIX_KINDS = {1: "stream", 2: "datagram", 5: "sequenced packets"}


@dataclass(frozen=True, slots=True)
class Inet:
    """A line of /proc/PID/net/tcp or its like."""

    protocol: str
    """``tcp`` or ``udp``."""
    local: End
    remote: End
    state: int
    inode: int

    @property
    def listens(self) -> bool:
        """Whether strangers can begin to talk to it."""
        return self.state == (_LISTENING if self.protocol == "tcp" else _UNCONNECTED)


@dataclass(frozen=True, slots=True)
class Unix:
    """A line of /proc/PID/net/unix."""

    path: str
    kind: int
    accepts: bool
    inode: int


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A socket that somebody can turn to, and whose it is."""

    process: str
    pid: int
    protocol: str
    """``tcp``, ``udp`` or ``unix``."""
    where: str
    """``ADDRESS:PORT``, a path, or ``@name`` for an abstract one."""
    end: End | None = None
    kind: int = 0
    """Of a unix socket: see :data:`UNIX_KINDS`."""


def parse_inet(text: str, protocol: str) -> tuple[Inet, ...]:
    """The table without its head."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 9:
            found.append(Inet(protocol, _end(words[1]), _end(words[2]), int(words[3], 16), int(words[9])))
    return tuple(found)


def _end(text: str) -> End:
    """``0100007F:1D11``: each 32-bit word in the host's own byte order."""
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return End(IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw), int(port, 16))


def parse_unix(text: str) -> tuple[Unix, ...]:
    """The table without its head; unnamed sockets have an empty path."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split(maxsplit=7)
        if len(words) >= 7:
            path = words[7] if len(words) > 7 else ""
            found.append(Unix(path, int(words[4], 16), bool(int(words[3], 16) & _ACCEPTS), int(words[6])))
    return tuple(found)


def inodes(pid: int, proc: Path = PROC) -> frozenset[int]:
    """The sockets that a process holds. Raises ``OSError`` when it is gone or may not be looked at."""
    found = set()
    for link in (proc / str(pid) / "fd").iterdir():
        with suppress(OSError):
            if match := _SOCKET.fullmatch(str(link.readlink())):
                found.add(int(match[1]))
    return frozenset(found)


def inet(pid: int, proc: Path = PROC) -> tuple[Inet, ...]:
    """All sockets of the network namespace that a process is in, whoever holds them. Raises ``OSError``."""
    found: list[Inet] = []
    for name in ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6"):
        with suppress(FileNotFoundError):
            found += parse_inet((proc / str(pid) / "net" / name).read_text(), name[:3])
    return tuple(found)


def unix(pid: int, proc: Path = PROC) -> tuple[Unix, ...]:
    """All unix sockets of that namespace. Raises ``OSError``."""
    return parse_unix((proc / str(pid) / "net" / "unix").read_text(errors="surrogateescape"))


def raw(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Inodes of raw and packet sockets of that namespace. Raises ``OSError``."""
    found = set()
    for name, column in (("raw", 9), ("raw6", 9), ("packet", 8)):
        with suppress(FileNotFoundError):
            for line in (proc / str(pid) / "net" / name).read_text().splitlines()[1:]:
                words = line.split()
                if len(words) > column:
                    found.add(int(words[column]))
    return frozenset(found)


def listeners(processes: Mapping[str, int], proc: Path = PROC) -> tuple[Listener, ...]:
    """Every socket of these processes that somebody can turn to. Raises ``OSError`` for one that cannot be read."""
    return tuple(sorted(set(_listeners(processes, proc))))


def _listeners(processes: Mapping[str, int], proc: Path) -> Iterator[Listener]:
    for name, pid in processes.items():
        held = inodes(pid, proc)
        for one in inet(pid, proc):
            if one.inode in held and one.listens:
                yield Listener(name, pid, one.protocol, str(one.local), one.local)
        for other in unix(pid, proc):
            # A bound datagram socket needs nobody to accept.
            if other.inode in held and other.path and (other.accepts or other.kind == 2):
                yield Listener(name, pid, "unix", other.path, kind=other.kind)
        if held & raw(pid, proc):
            yield Listener(name, pid, "raw", "every packet")


def connections(pids: Mapping[str, int], proc: Path = PROC) -> frozenset[tuple[End, End]]:
    """(local, remote) of every TCP connection that these processes hold now; those that are gone hold none."""
    found = set()
    for pid in pids.values():
        with suppress(OSError):
            held = inodes(pid, proc)
            found |= {(one.local, one.remote) for one in inet(pid, proc) if one.inode in held and not one.listens}
    return frozenset(found)


def descendants(processes: Mapping[str, int], proc: Path = PROC) -> dict[str, int]:
    """The processes, and those that they have started, as ``gateway > python``."""
    children: dict[int, list[tuple[int, str]]] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError):
                head, _, tail = (folder / "stat").read_text().rpartition(")")
                children.setdefault(int(tail.split()[1]), []).append((int(folder.name), head.partition("(")[2]))
    found: dict[str, int] = dict(processes)
    pending = list(processes.items())
    while pending:
        name, pid = pending.pop()
        for child, command in children.get(pid, []):
            if child not in found.values():
                called = f"{name} > {command}"
                label = called if called not in found else f"{called} {child}"
                found[label] = child
                pending.append((label, child))
    return found
