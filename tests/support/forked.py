"""A service's process that begins as a fork of one in which the service's libraries have been loaded already.

They take control almost two seconds of a processor, and the tests of kills start it fifty times. From the fork on
nothing differs: a process of its own, with the seeded defect in it, that reads its configuration and serves until its
end. What a start from nothing does is shown by tests that start it so, and where coverage is counted all of them do.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGKILL, Signals
from typing import Protocol

NURSERY = """
import gc, importlib, json, os, signal, socket, sys, traceback

here, (entry, *more) = socket.socket(fileno=int(sys.argv[1])), sys.argv[2:]
gc.disable()
for name in more:
    importlib.import_module(name)
main = importlib.import_module(entry).main
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def undertake(asked, out, word):
    # Tells the process's number, waits for its end, and tells how it ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        os.close(word)
        serve(asked, out)
    os.close(out)
    os.write(word, child.to_bytes(4, "big"))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(word, code.to_bytes(4, "big", signed=True))
    os._exit(0)


def serve(asked, out):
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.close(out)
        os.environ.clear()
        os.environ.update(asked["environment"])
        gc.enable()
        exec(asked["weaken"], {"__name__": "__main__", "sys": sys})
        code = main(asked["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


while True:
    asked, handed, _, _ = socket.recv_fds(here, 1 << 20, 2)
    if not asked:
        break
    if os.fork() == 0:
        here.close()
        undertake(json.loads(asked), *handed)
    for one in handed:
        os.close(one)
"""


MOST_SAID = 1 << 24
"""Bytes that are kept unread."""


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
    """A process that another one forked: what it says, and how it ended, come through pipes."""

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

    def follow(self, heard: _Heard, word: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._end = asyncio.create_task(self._followed(heard, word, writer))

    async def _followed(self, heard: _Heard, word: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        code = int.from_bytes(await word.readexactly(4), "big", signed=True)
        await heard.closed.wait()
        writer.close()
        await writer.wait_closed()
        self.returncode = code
        return code


_nurseries: dict[tuple[str, ...], socket.socket] = {}


def _nursery(modules: tuple[str, ...]) -> socket.socket:
    """The one of this process; it ends with it."""
    if modules not in _nurseries:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = [sys.executable, "-I", "-c", NURSERY, str(theirs.fileno()), *modules]
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        _nurseries[modules] = ours
    return _nurseries[modules]


async def born(*modules: str, arguments: list[str], environment: dict[str, str], weaken: str = "") -> Forked:
    """Runs ``weaken`` and then ``main`` of the first of ``modules``, all of which are loaded already."""
    nursery = _nursery(modules)
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair()
    asked = json.dumps({"arguments": arguments, "environment": environment, "weaken": weaken})
    try:
        socket.send_fds(nursery, [asked.encode()], [writing, theirs.fileno()])
    finally:
        os.close(writing)
        theirs.close()
    out = asyncio.StreamReader(limit=MOST_SAID)
    heard = _Heard(out)
    pipe = os.fdopen(reading, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: heard, pipe)
    word, writer = await asyncio.open_connection(sock=ours)
    process = Forked(int.from_bytes(await word.readexactly(4), "big"), out)
    process.follow(heard, word, writer)
    return process
