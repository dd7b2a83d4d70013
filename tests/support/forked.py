"""Processes that begin as a fork of one in which the libraries have been loaded already: services, and commands.

Libraries take control almost two seconds of a processor, and a vault or a command a third of one; the tests start
hundreds. From the fork on nothing differs: a process of its own, with the seeded defect in it, that runs the program's
own entry to its end. What a start from nothing does (what stands in argv, an inherited socket, the hardening) is shown
by tests that start it so, and where coverage is counted all of them do. The other side is ``nursery.py``.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, Signals
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_SAID = 1 << 24
"""Bytes that are kept unread."""
MOST_WORD = 32
"""Bytes of a process's number, or of how it ended."""
SHORT = (
    *("argparse", "csv", "importlib.metadata", "logging", "secrets", "sqlite3", "subprocess", "sysconfig", "zipfile"),
    *("click", "cryptography.x509", "cryptography.hazmat.primitives.ciphers.aead"),
    *("cryptography.hazmat.primitives.kdf.hkdf", "starlette.requests", "starlette.routing"),
    *("clawmates.base.eventlog", "clawmates.base.serving.certificate", "clawmates.base.serving.server"),
    *("clawmates.base.http.client", "clawmates.base.x509", "clawmates.inventory.whole"),
    *("clawmates.wire.backups", "clawmates.wire.documents", "clawmates.wire.notary", "clawmates.wire.operator_client"),
    *("clawmates.wire.node_client", "clawmates.wire.people", "clawmates.wire.resumption", "clawmates.wire.revocations"),
    *(
        "clawmates.wire.sealing",
        "clawmates.wire.templates",
        "clawmates.wire.upkeep_calls",
        "clawmates.wire.vault_calls",
    ),
    *("clawmates.wire.vault_status", "clawmates.wire.receipt", "clawmates.wire.desired", "clawmates.wire.releases"),
    *("clawmates.selfhost.install", "clawmates.selfhost.backup", "clawmates.selfhost.arriving"),
)
"""What commands and the vault use. Their own rooms are not among it: each process loads them itself, after the seeded
defect, as one that starts from nothing does, for they bind many names of one another."""


class Process(Protocol):
    """What tests do with a process, however it began; `asyncio.subprocess.Process` is one."""

    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes | None]: ...
    def send_signal(self, signal: int) -> None: ...
    def kill(self) -> None: ...


class _Heard(asyncio.StreamReaderProtocol):
    """What a process says, and when its end of the pipe is closed."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.closed.set()


@dataclass
class Forked:
    """A process that another one forked: what it says, and how it ended, come through a pipe and a socket."""

    pid: int
    stdout: asyncio.StreamReader | None
    returncode: int | None = None
    _end: asyncio.Task[int] = field(init=False)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes | None]:
        assert self.stdout is not None
        said = await self.stdout.read()
        await self.wait()
        return said, None

    def send_signal(self, signal: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, Signals(signal))

    def kill(self) -> None:
        self.send_signal(SIGKILL)

    def follow(self, heard: _Heard, word: socket.socket) -> None:
        self._end = asyncio.create_task(self._followed(heard, word))

    async def _followed(self, heard: _Heard, word: socket.socket) -> int:
        with word:
            code = int(await asyncio.get_running_loop().sock_recv(word, MOST_WORD))
        await heard.closed.wait()
        self.returncode = code
        return code


_nurseries: dict[tuple[str, ...], socket.socket] = {}
_asking = threading.Lock()


def _nursery(modules: tuple[str, ...]) -> socket.socket:
    """The one of this process; it ends with it."""
    if modules not in _nurseries:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = [sys.executable, "-I", str(Path(__file__).with_name("nursery.py")), str(theirs.fileno()), *modules]
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        _nurseries[modules] = ours
    return _nurseries[modules]


def _fork(
    modules: tuple[str, ...], run: str, argv: Sequence[str], environment: Mapping[str, str], streams: Sequence[int]
) -> socket.socket:
    """Where the process's number comes, and later how it ended. Threads may ask at the same time."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {"run": run, "argv": list(argv), "environment": dict(environment), "folder": str(Path.cwd())}
    with theirs, _asking:
        socket.send_fds(_nursery(modules), [json.dumps(asked).encode()], [*streams, theirs.fileno()])
    return ours


async def born(*modules: str, run: str, environment: Mapping[str, str]) -> Forked:
    """``python -I -c run`` with nothing to read and both outputs in one; ``modules`` are loaded already."""
    loop, out = asyncio.get_running_loop(), asyncio.StreamReader(limit=MOST_SAID)
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        word = _fork(modules, run, ("-c",), environment, (nothing, writing, writing))
    finally:
        os.close(writing)
        os.close(nothing)
    word.settimeout(0)
    heard = _Heard(out)
    await loop.connect_read_pipe(lambda: heard, os.fdopen(reading, "rb", buffering=0))
    process = Forked(int(await loop.sock_recv(word, MOST_WORD)), out)
    process.follow(heard, word)
    return process


def command(
    *words: str, given: str = "", environment: Mapping[str, str] = os.environ, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """``clawmates`` and these words, to its end, as :func:`subprocess.run` gives it."""
    argv = ("clawmates", *words)
    if any(name.startswith("COVERAGE") for name in os.environ):
        line = [sys.executable, "-I", "-m", "clawmates.cli.main", *words]
        return subprocess.run(
            line, input=given, capture_output=True, text=True, check=False, timeout=seconds, env=environment
        )
    # Files in memory, for nobody has to read one stream while the other fills.
    streams = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        os.write(streams[0], given.encode())
        os.lseek(streams[0], 0, os.SEEK_SET)
        with _fork(SHORT, "from clawmates.cli.main import run; run()", argv, environment, streams) as word:
            pid = int(word.recv(MOST_WORD))
            word.settimeout(seconds)
            try:
                code = int(word.recv(MOST_WORD))
            except TimeoutError:
                os.kill(pid, SIGKILL)
                raise
        said = [os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in streams[1:]]
    finally:
        for stream in streams:
            os.close(stream)
    return subprocess.CompletedProcess(argv, code, *said)
