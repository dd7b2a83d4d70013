"""Two networks of a trial's own with a cable between them: the platform's, and the world's.

This process and all that it starts from then on live in the platform's, whose only way out is the cable; the stand-ins
are put into the world's, where they have public addresses and the ports that the real ones have. Nothing of either is
reachable from the host.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000
HERE, THERE = "way-out", "cable"
MINE = "11.0.0.1"
WORLD = "11.0.0.2"
"""Public, so that the gateway takes addresses of this network for what they stand for; nobody outside is asked."""
LINE = 16
"""Everything beyond it goes by the world's end of the cable, so that it is seen even where nobody lives."""


class NoCableError(Exception):
    """No network of its own can be made here: root, network namespaces, veth and the ip command are needed."""


@dataclass(frozen=True, slots=True)
class Cable:
    """The world's end. It is there for as long as this process."""

    descriptor: int
    """The world's network namespace."""

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening TCP socket in the world, used from here. Raises ``OSError``."""

        def make() -> socket.socket:
            _enter(self.descriptor)
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            sock.listen(128)
            return sock

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(make).result()

    def inside(self, *command: str) -> list[str]:
        """A command line that runs ``command`` in the world."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.descriptor}", "--", *command]

    def add(self, *addresses: str) -> None:
        """More addresses of the world. Raises :class:`NoCableError`."""
        for address in addresses:
            _run(*self.inside("ip", "addr", "add", f"{address}/{LINE}", "dev", THERE))


def plug() -> Cable:
    """Moves this process into a network of its own and lays the cable; before anything is started.

    Raises :class:`NoCableError`.
    """
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        raise NoCableError(NoCableError.__doc__)
    with ThreadPoolExecutor(1) as thread:
        # A namespace lives as long as somebody holds it; the thread that made it ends here.
        world = thread.submit(_fresh).result()
    os.close(_fresh())
    cable = Cable(world)
    holder = subprocess.Popen(  # noqa: S603 - fixed arguments
        cable.inside(sys.executable, "-I", "-c", "print(flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if holder.stdout is None or not holder.stdout.readline():
            raise NoCableError(NoCableError.__doc__)
        _run("ip", "link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", str(holder.pid))
    finally:
        holder.communicate(b"\n")
    for prefix, device, address in (([], HERE, MINE), (cable.inside(), THERE, WORLD)):
        # Else the kernel's own neighbour talk stands in the capture.
        _run(*prefix, "sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
        _run(*prefix, "ip", "link", "set", "lo", "up")
        _run(*prefix, "ip", "addr", "add", f"{address}/{LINE}", "dev", device)
        _run(*prefix, "ip", "link", "set", device, "up")
    _run("ip", "route", "add", "default", "via", WORLD)
    return cable


def _fresh() -> int:
    """Moves this thread into a new network namespace; the descriptor keeps it."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise NoCableError(NoCableError.__doc__)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        raise NoCableError(NoCableError.__doc__) from None
