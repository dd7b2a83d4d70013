"""Keeps the processes of one host running: readiness, restarts with backoff, a clean end."""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


READY_SECONDS = 20.0
STOP_SECONDS = 15.0
SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
"""So that what failed for an hour is back within 10 s of what it failed for being put right."""
STEADY_SECONDS = LONGEST_PAUSE
"""What has served for so long begins anew: it cannot start more often than what fails at once and waits."""
CONFIGURATION = 78


def pause_after(before: float, served: float) -> float:
    """Seconds until the next start, after the last pause (0 at first) and ``served`` seconds of readiness since."""
    if not before or served >= STEADY_SECONDS:
        return SHORTEST_PAUSE
    return min(before * 2, LONGEST_PAUSE)


class Startable(Protocol):
    """What the supervisor needs to know of a process."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What it is handed."""
        ...

    def command(self) -> list[str]:
        """The command line; nothing secret is in it."""
        ...


class Phase(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to restart"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class Running:
    """One supervised process."""

    service: Startable
    phase: Phase = Phase.STOPPED
    pid: int = 0
    restarts: int = 0
    exit_code: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ready_at: float = math.inf
    """By the loop's clock, in its present life or in the last one; infinity where it was not."""
    process: asyncio.subprocess.Process | None = None


@dataclass(slots=True)
class Supervisor:
    """``changed`` is called after every change of any phase."""

    folder: Path
    changed: Callable[[], None] = lambda: None
    running: dict[str, Running] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _notify: socket.socket | None = None
    _spawning: int = 0
    _early: set[int] = field(default_factory=set)
    """Who said that they are ready before we, on a busy machine, were told their pid; empty while nothing starts."""

    async def start(self, services: Iterable[Startable]) -> None:
        """Starts processes and waits until each is ready or has failed for good."""
        self._listen()
        begun = [self._begin(service) for service in services]
        await asyncio.gather(*(self._settled(one) for one in begun))

    def pid(self, name: str) -> int:
        """The pid of a running process, or 0."""
        return self.running[name].pid if name in self.running else 0

    async def stop(self, name: str) -> None:
        """Ends one process for good: SIGTERM, then SIGKILL after 15 s."""
        task = self._tasks.pop(name, None)
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        """Ends everything, last started first."""
        for name in reversed(list(self._tasks)):
            await self.stop(name)
        if self._notify is not None:
            asyncio.get_running_loop().remove_reader(self._notify.fileno())
            self._notify.close()
            (self.folder / "notify.sock").unlink(missing_ok=True)
            self._notify = None

    def _begin(self, service: Startable) -> Running:
        one = self.running[service.name] = Running(service)
        self._tasks[service.name] = asyncio.create_task(self._keep(one))
        return one

    async def _settled(self, one: Running) -> None:
        task = self._tasks[one.service.name]
        ready = asyncio.create_task(one.ready.wait())
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED, timeout=READY_SECONDS)
        ready.cancel()

    async def _keep(self, one: Running) -> None:
        pause = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await self._run_once(one)
            if one.exit_code == CONFIGURATION:
                self._set(one, Phase.FAILED)
                return
            pause = pause_after(pause, loop.time() - one.ready_at)
            self._set(one, Phase.WAITING)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads restarts, guards nothing
            one.restarts += 1

    async def _run_once(self, one: Running) -> None:
        self._spawning += 1
        try:
            process = await self._spawn(one)
            one.process, one.pid, one.exit_code, one.ready_at = process, process.pid, None, math.inf
        finally:
            early = self._early
            self._spawning -= 1
            if not self._spawning:
                self._early = set()
        self._set(one, Phase.STARTING)
        if process.pid in early:
            self._is_ready(one)
        try:
            one.exit_code = await process.wait()
        finally:
            if process.returncode is None:
                one.exit_code = await _end(process)
            one.pid = 0
            one.ready.clear()
            self._set(one, Phase.STOPPED)

    async def _spawn(self, one: Running) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *one.service.command(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            # Not in the terminal's process group: a Ctrl-C is for us, and we end them in their order.
            start_new_session=True,
            pass_fds=one.service.descriptors,
            env={
                "NOTIFY_SOCKET": str(self.folder / "notify.sock"),
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
            },
        )

    def _set(self, one: Running, phase: Phase) -> None:
        one.phase = phase
        self.changed()

    def _listen(self) -> None:
        """The notify socket of sd_notify(3); SO_PASSCRED tells which process speaks."""
        if self._notify is not None:
            return
        path = self.folder / "notify.sock"
        path.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notify.bind(str(path))
        path.chmod(0o666)
        self.folder.chmod(0o711)
        asyncio.get_running_loop().add_reader(self._notify.fileno(), self._hear)

    def _hear(self) -> None:
        if self._notify is None:
            return
        with suppress(BlockingIOError):
            message, ancillary, _flags, _address = self._notify.recvmsg(4096, socket.CMSG_SPACE(12))
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    self._note(struct.unpack("3i", data[:12])[0], message)

    def _note(self, pid: int, message: bytes) -> None:
        if b"READY=1" not in message.split(b"\n"):
            return
        if self._spawning:
            self._early.add(pid)
        for one in self.running.values():
            if one.pid == pid:
                self._is_ready(one)

    def _is_ready(self, one: Running) -> None:
        if not one.ready.is_set():
            one.ready_at = asyncio.get_running_loop().time()
        one.ready.set()
        self._set(one, Phase.READY)


async def _end(process: asyncio.subprocess.Process) -> int:
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
