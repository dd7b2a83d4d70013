"""A network for the weak controls, in a process and namespace of its own: what a careless network would have on it.

``unshare --net python -I -m clawmates.proofs.probes.outside WORD`` switches its loopback on, gives it the addresses
that probes ask for, answers there, and says so in a line. It lives until its standard input ends. It is also the
witness: the process on the host that probes look for.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import sys

from clawmates.proofs.probes.marks import INTERNET, METADATA, RESOLVER

SET_ADDRESS, SET_FLAGS = 0x8916, 0x8914
"""SIOCSIFADDR and SIOCSIFFLAGS (netdevice(7))."""
UP = 0x1
PORTS = (80, 443)


def _set_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        fcntl.ioctl(there, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
        for number, address in enumerate((METADATA, RESOLVER, INTERNET), 1):
            name = f"lo:{number}".encode()
            packed = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(there, SET_ADDRESS, packed)


def main() -> None:
    """Serves until standard input ends."""
    _set_up()
    servers = [socket.create_server(("0.0.0.0", port)) for port in PORTS]  # noqa: S104 - nobody else is in this network
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((RESOLVER, 53))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        listening: list[int | socket.socket] = [0, names, *servers]
        ready, _, _ = select.select(listening, [], [])
        if 0 in ready and not os.read(0, 1):
            return
        if names in ready:
            question, asker = names.recvfrom(512)
            names.sendto(question, asker)
        for server in servers:
            if server in ready:
                server.accept()[0].close()


if __name__ == "__main__":
    main()
