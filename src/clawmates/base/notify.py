"""Readiness and inherited sockets, as a service manager defines them.

``NOTIFY_SOCKET`` (sd_notify(3)) and ``LISTEN_FDS``/``LISTEN_PID`` (sd_listen_fds(3)): ``clawmates up`` and
systemd speak the same protocol to us, so a process does not know which of them started it.
"""

from __future__ import annotations

import os
import socket

FIRST_INHERITED = 3


def ready(status: str = "") -> None:
    """Tells the supervisor that this process serves; nothing happens without one."""
    tell(f"READY=1\nSTATUS={status}" if status else "READY=1")


def tell(message: str) -> None:
    """Sends one sd_notify message; a missing or dead supervisor is no error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets handed to this process, in order; empty when there are none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    sockets = [socket.socket(fileno=number) for number in range(FIRST_INHERITED, FIRST_INHERITED + count)]
    for sock in sockets:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        os.set_inheritable(sock.fileno(), False)  # noqa: FBT003
    return sockets
