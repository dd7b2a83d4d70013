"""Processes forked from a nursery that has the libraries loaded, in place of an interpreter started for each.

They are processes in every other way: a pid, streams, signals and an exit code of their own, and they run the program's
own entry. Whatever is about the start itself (what stands in argv, an inherited socket, the hardening) starts for real.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

_LOCK = threading.Lock()
_ASKED: list[socket.socket] = []
"""The one nursery of these tests, which ends when this socket is closed with the process that holds it."""


def _ask(run: str, argv: Sequence[str], environment: Mapping[str, str], standard: Sequence[int]) -> socket.socket:
    """A socket that tells the pid, and later the exit code."""
    with _LOCK:
        if not _ASKED:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            script = Path(__file__).with_name("nursery.py")
            with theirs:
                # Nobody waits for it: it ends with us.
                subprocess.Popen(
                    [sys.executable, "-I", str(script), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                ).returncode = 0
            _ASKED.append(ours)
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"run": run, "argv": list(argv), "environment": dict(environment), "folder": str(Path.cwd())}
        with tells:
            socket.send_fds(_ASKED[0], [json.dumps(request).encode()], [*standard, tells.fileno()])
        return told


def command(
    *words: str, given: str = "", environment: Mapping[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """``clawmates`` and these words, to its end, as :func:`subprocess.run` gives it."""
    streams = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        os.write(streams[0], given.encode())
        os.lseek(streams[0], 0, os.SEEK_SET)
        argv, around = ("clawmates", *words), os.environ if environment is None else environment
        with _ask("from clawmates.cli.main import run; run()", argv, around, streams) as told:
            told.settimeout(seconds)
            pid = int(told.recv(32))
            try:
                code = int(told.recv(32))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
        said = [os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in streams[1:]]
    finally:
        for stream in streams:
            os.close(stream)
    return subprocess.CompletedProcess(argv, code, *said)


class _Heard(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.closed.set_result(None)


class Born:
    """What :class:`asyncio.subprocess.Process` is for a started one; both outputs are one stream."""

    pid: int
    stdout: asyncio.StreamReader
    _ended: asyncio.Task[int]

    @classmethod
    async def start(cls, run: str, environment: Mapping[str, str]) -> Self:
        """``python -I -c run``; an environment of just this, and nothing to read."""
        loop, born = asyncio.get_running_loop(), cls()
        reads, writes = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        told = await asyncio.to_thread(_ask, run, ("-c",), environment, (nothing, writes, writes))
        for descriptor in (writes, nothing):
            os.close(descriptor)
        told.settimeout(0)
        born.stdout = asyncio.StreamReader()
        heard = _Heard(born.stdout)
        await loop.connect_read_pipe(lambda: heard, os.fdopen(reads, "rb"))
        born.pid = int(await loop.sock_recv(told, 32))
        born._ended = asyncio.create_task(born._end(told, heard))
        return born

    async def _end(self, told: socket.socket, heard: _Heard) -> int:
        with told:
            code = int(await asyncio.get_running_loop().sock_recv(told, 32))
        await heard.closed
        return code

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def communicate(self) -> tuple[bytes, None]:
        said = await self.stdout.read()
        await self.wait()
        return said, None

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
