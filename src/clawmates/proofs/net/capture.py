"""Every packet of this network namespace, while a block runs (packet(7))."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Iterator

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
BUFFER = 64 << 20
LARGEST = 1 << 17
"""Of one packet: on loopback the kernel passes 64 KiB and more in one."""
LOOPBACK = "lo"


class CaptureError(ProofError):
    """Packets cannot be captured, or some were lost; the text is the sentence to show."""


@dataclass(slots=True)
class Capture:
    """IP packets in the order in which they passed, each once."""

    packets: list[bytes] = field(default_factory=list)
    others: int = 0
    """Frames that are no IP: address resolution, mostly."""
    _socket: socket.socket | None = None

    def read(self) -> None:
        """Takes what has come since. Raises :class:`CaptureError` when the kernel had to drop a packet."""
        if self._socket is None:
            return
        while True:
            try:
                data, where = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                break
            interface, protocol, direction = where[0], where[1], where[2]
            # On loopback a packet passes twice, leaving and arriving; the first is enough.
            if interface == LOOPBACK and direction != PACKET_OUTGOING:
                continue
            if protocol in {ETH_P_IP, ETH_P_IPV6}:
                self.packets.append(data)
            else:
                self.others += 1
        dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        if dropped:
            raise CaptureError(f"the capture lost {dropped} packets, so it shows nothing: try again on a quieter host")


@contextmanager
def capturing() -> Iterator[Capture]:
    """Packets from now to the end of the block, all of which are in the capture afterwards.

    Raises :class:`CaptureError`.
    """
    capture = Capture()
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
    except PermissionError:
        raise CaptureError("packets cannot be captured: run this as root") from None
    loop = asyncio.get_running_loop()
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        capture._socket = sock  # noqa: SLF001 - this is where it is born
        loop.add_reader(sock.fileno(), capture.read)
        try:
            yield capture
            capture.read()
        finally:
            loop.remove_reader(sock.fileno())
            capture._socket = None  # noqa: SLF001 - and where it ends
