"""What the proof puts on the host for probes to look for: made-up text, in every kind of place that could be shared."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.proofs.probes.inside.frame import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METADATA = "169.254.169.254"
RESOLVER = "192.0.2.53"
INTERNET = "198.51.100.80"
"""RFC 5737: addresses for documentation. In a control's network they answer; nowhere else."""
SHARED = Path("/dev/shm")  # noqa: S108 - what lies there is what is looked for
CREATE = 0o1000
REMOVE = 0
SET_VALUE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the platform itself has on this host."""

    vault: tuple[str, int]
    """Where the vault listens."""
    sockets: Mapping[str, str]
    neighbour: str
    """The socket of another bot's door, or empty."""
    folder: Path
    """A folder on the platform's disk, whose device a probe tries to read."""


@contextmanager
def marks(known: Known, entropy: Callable[[int], bytes], *, witness: int, word: str) -> Iterator[Marks]:
    """Everything is gone afterwards. ``witness`` is a process on the host with ``word`` among its arguments."""
    text = entropy(16).hex().encode()
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="prove-", dir="/var/tmp"))
        shared = stack.enter_context(tempfile.NamedTemporaryFile(prefix="prove-", dir=SHARED))
        for one in (file, shared):
            one.write(text)
            one.flush()
            Path(one.name).chmod(0o644)
        loopback = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"prove-{entropy(8).hex()}"
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind("\0" + abstract)
        listener.listen()
        queue = f"/prove-{entropy(8).hex()}"
        stack.enter_context(_posix_queue(queue))
        yield Marks(
            digest=sha256(text).hexdigest(),
            word=word,
            witness=witness,
            target=1,
            hostname=socket.gethostname(),
            loopback=loopback.getsockname()[1],
            abstract=abstract,
            vault=known.vault,
            sockets=known.sockets,
            neighbour=known.neighbour,
            file=file.name,
            shared_file=shared.name,
            segment=stack.enter_context(_segment(text)),
            queue=stack.enter_context(_message_queue(text)),
            semaphore=stack.enter_context(_semaphore()),
            posix_queue=queue,
            disk=disk_below(known.folder),
            metadata=METADATA,
            resolver=RESOLVER,
            internet=INTERNET,
        )


def disk_below(folder: Path, blocks: Path = Path("/sys/class/block")) -> tuple[int, int]:
    """Major and minor of the disk that ``folder`` lies on, or of any other that can be read here; 0 0 without one."""
    device = folder.stat().st_dev
    found = []
    with suppress(OSError):
        for one in blocks.iterdir():
            major, _, minor = (one / "dev").read_text().strip().partition(":")
            if int((one / "size").read_text()) and _readable(Path("/dev") / one.name):
                found.append((int(major), int(minor)))
    mine = (os.major(device), os.minor(device))
    return mine if mine in found else min(found, default=(0, 0))


def _readable(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@contextmanager
def _segment(text: bytes) -> Iterator[int]:
    libc = _libc()
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, CREATE | 0o644)
    if number < 0:
        yield -1
        return
    try:
        address = libc.shmat(number, None, 0)
        ctypes.memmove(address, text + b"\0", len(text) + 1)
        libc.shmdt(ctypes.c_void_p(address))
        yield number
    finally:
        libc.shmctl(number, REMOVE, None)


@contextmanager
def _message_queue(text: bytes) -> Iterator[int]:
    libc = _libc()
    number = libc.msgget(0, CREATE | 0o644)
    try:
        libc.msgsnd(number, ctypes.c_long(1).value.to_bytes(8, "little") + text, len(text), 0)
        yield number
    finally:
        libc.msgctl(number, REMOVE, None)


@contextmanager
def _semaphore() -> Iterator[int]:
    libc = _libc()
    number = libc.semget(0, 1, CREATE | 0o644)
    try:
        libc.semctl(number, 0, SET_VALUE, 7)
        yield number
    finally:
        libc.semctl(number, 0, REMOVE)


@contextmanager
def _posix_queue(name: str) -> Iterator[None]:
    libc = _libc()
    descriptor = libc.mq_open(name.encode(), os.O_CREAT | os.O_RDWR, 0o644, None)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
            libc.mq_unlink(name.encode())
