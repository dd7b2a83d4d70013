"""Notices at once that a process has ended, by pidfd (pidfd_open(2)); why not ``podman events``: ADR 0003."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.engines.base import Exited, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


MONITOR = "conmon"
CLEAR_UP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Watched:
    running: Running
    descriptor: int
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Exits:
    """Watches first processes of containers and tells each end once."""

    def __init__(self, *, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._ended: asyncio.Queue[Exited] = asyncio.Queue()
        self._watched: dict[str, _Watched] = {}

    def watch(self, running: Running) -> None:
        """Watches ``running.pid``; if it is gone already, or belongs to another process by now, it has ended."""
        if running.name in self._watched:
            return
        try:
            descriptor = os.pidfd_open(running.pid)
        except OSError:
            self._tell(running)
            return
        # Asked after the pidfd is held, so that a pid which was used again between start and here is seen.
        if not self._belongs(running):
            os.close(descriptor)
            self._tell(running)
            return
        self._watched[running.name] = _Watched(running, descriptor)
        asyncio.get_running_loop().add_reader(descriptor, self._over, running)

    async def terminate(self, name: str, seconds: float) -> bool:
        """SIGTERM, then waits for the end at most so long; whether a watched container of that name has ended.

        And for the end of the engine's monitor, which runs the engine's own clean-up after that.
        """
        watched = self._watched.get(name)
        if watched is None:
            return False
        monitor = self._monitor(watched.running.pid)
        try:
            return await self._terminate(watched, seconds) and await _gone(monitor)
        finally:
            if monitor is not None:
                os.close(monitor)

    async def _terminate(self, watched: _Watched, seconds: float) -> bool:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(watched.descriptor, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watched.over.wait()
        return watched.over.is_set()

    def close(self) -> None:
        """Stops watching everything."""
        for name in tuple(self._watched):
            self._forget(name)

    async def events(self) -> AsyncIterator[Exited]:
        """The ends, as they happen."""
        while True:
            yield await self._ended.get()

    def _over(self, running: Running) -> None:
        self._forget(running.name)
        self._tell(running)

    def _forget(self, name: str) -> None:
        watched = self._watched.pop(name)
        asyncio.get_running_loop().remove_reader(watched.descriptor)
        os.close(watched.descriptor)
        watched.over.set()

    def _tell(self, running: Running) -> None:
        self._ended.put_nowait(Exited(name=running.name, id=running.id))

    def _monitor(self, pid: int) -> int | None:
        """A pidfd of the process that watches a container's first one for the engine, if there is one."""
        try:
            status = (self._proc / str(pid) / "status").read_text()
            parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
            if (self._proc / parent / "comm").read_text().strip() != MONITOR:
                return None
            return os.pidfd_open(int(parent))
        except (OSError, StopIteration):
            return None

    def _belongs(self, running: Running) -> bool:
        try:
            return running.id in (self._proc / str(running.pid) / "cgroup").read_text()
        except OSError:
            return False


async def _gone(process: int | None) -> bool:
    """True, once the process of this pidfd has ended, or has taken too long for anybody to wait."""
    if process is None:
        return True
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(process, over.set)
    try:
        async with asyncio.timeout(CLEAR_UP_SECONDS):
            await over.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(process)
    return True
