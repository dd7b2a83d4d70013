"""OpenClaw's gateway itself on what we wrote, in a network that holds loopback and nothing else: does it start?

``unshare --net … python -I -m clawmates.trials.interop_gateway COMMAND…`` switches loopback on, runs COMMAND, and asks
it at :data:`PORT` until its HTTP server is live (its documentation, *Health checks*, HTTP probes): by then it has read
the configuration, resolved the references in it and loaded what it names. Then it ends it, by its process id. Neither
messenger nor AI provider can be reached there, so whether its channels are well is not asked.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException

PORT = 18789
"""In a namespace of its own, so it is free."""
SECONDS = 120.0
"""Some twenty on two idle processors, most of it to make its databases; 95 were seen with twenty others at work."""
END_SECONDS = 20.0
PAUSE = 0.5
SET_FLAGS, UP = 0x8914, 0x1
"""SIOCSIFFLAGS (netdevice(7))."""


def live() -> bool:
    """Whether it says so now."""
    connection = HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def main(command: list[str]) -> int:
    """Exit code 0 once it is live; what it has said itself is on stderr."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        fcntl.ioctl(there, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
    began = time.monotonic()
    gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - interop's own words
    try:
        while gateway.poll() is None and time.monotonic() - began < SECONDS:
            if live():
                sys.stdout.write(f"{time.monotonic() - began:.0f}\n")
                return 0
            time.sleep(PAUSE)
        state = f"it ended with {gateway.returncode}" if gateway.poll() is not None else f"not after {SECONDS:.0f} s"
        sys.stderr.write(f"\n{state}\n")
        return 1
    finally:
        gateway.terminate()
        try:
            gateway.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            gateway.kill()
            gateway.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
