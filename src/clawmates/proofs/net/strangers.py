"""Calls a unix socket as a user who has no business there."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STRANGER = 65_531
"""A user id that nobody here has: below the last ones that have a meaning, above those given to people."""
ANSWER_SECONDS, NOTE_SECONDS = 10.0, 2.0
"""Whoever must hang up may take its time; of a socket that answers nobody nothing will come."""
NO_PERMISSION, CLOSED, ANSWERED, OPEN = "no permission", "closed without a byte", "answered", "left open"
ABSENT = "not there any more"
REFUSED = frozenset({NO_PERMISSION, CLOSED, ABSENT})
_REQUEST = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
_DESCRIPTOR = re.compile(r"/proc/self/fd/(\d+)(/.+)")
_RENAMED = re.compile(r"\.(.+)\.(\d+)")
"""The gateway binds under such a name and moves the socket to its place."""
STREAM, DATAGRAM = 1, 2


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """This process is ``uid`` for a moment, in which nothing may await: all threads are."""
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def reachable(path: str, pid: int) -> str:
    """Where a socket lies that was bound through a descriptor, or under another name; any other path unchanged."""
    if found := _DESCRIPTOR.fullmatch(path):
        with suppress(OSError):
            return f"{Path(f'/proc/{pid}/fd/{found[1]}').readlink()}{found[2]}"
    elif (found := _RENAMED.fullmatch(Path(path).name)) and found[2] == str(pid):
        return str(Path(path).with_name(found[1]))
    return path


async def call(path: str, uid: int = STRANGER, kind: int = STREAM, seconds: float = ANSWER_SECONDS) -> str:
    """What a user gets who connects and asks: one of the five words above. Needs root, to be somebody else."""
    sock = socket.socket(socket.AF_UNIX, socket.SocketKind(kind))
    sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    with sock:
        if kind == DATAGRAM:
            sock.bind("")  # without an address of its own nobody could answer it
        try:
            with as_user(uid):
                _connect(sock, path)
        except PermissionError:
            return NO_PERMISSION
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return ABSENT
        except BlockingIOError:
            return OPEN
        return await _hear(sock, seconds)


def _connect(sock: socket.socket, path: str) -> None:
    """From inside the socket's folder, because some paths are longer than an address may be (unix(7))."""
    if path.startswith("@"):
        sock.connect(b"\0" + os.fsencode(path[1:]))
        return
    before = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.chdir(Path(path).parent)
        sock.connect(Path(path).name)
    finally:
        os.fchdir(before)
        os.close(before)


async def _hear(sock: socket.socket, seconds: float) -> str:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            await loop.sock_sendall(sock, _REQUEST)
            return ANSWERED if await loop.sock_recv(sock, 1) else CLOSED
    except TimeoutError:
        return OPEN
    except OSError:
        return CLOSED
