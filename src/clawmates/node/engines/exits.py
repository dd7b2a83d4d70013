"""Notices at once that a process has ended, by pidfd (pidfd_open(2)); why not ``podman events``: ADR 0003."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.engines.base import Exited, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Exits:
    """Watches first processes of containers and tells each end once."""

    def __init__(self, *, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._ended: asyncio.Queue[Exited] = asyncio.Queue()
        self._watched: dict[str, int] = {}

    def watch(self, running: Running) -> None:
        """Watches ``running.pid``; if it is gone already, or belongs to another process by now, it has ended."""
        if running.id in self._watched:
            return
        ended = Exited(name=running.name, id=running.id)
        try:
            descriptor = os.pidfd_open(running.pid)
        except OSError:
            self._ended.put_nowait(ended)
            return
        # Asked after the pidfd is held, so that a pid which was used again between start and here is seen.
        if not self._belongs(running):
            os.close(descriptor)
            self._ended.put_nowait(ended)
            return
        self._watched[running.id] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._tell, ended)

    def forget(self, container: str) -> None:
        """Stops watching a container by its id."""
        descriptor = self._watched.pop(container, None)
        if descriptor is not None:
            with suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Stops watching everything."""
        for container in tuple(self._watched):
            self.forget(container)

    async def events(self) -> AsyncIterator[Exited]:
        """The ends, as they happen."""
        while True:
            yield await self._ended.get()

    def _tell(self, ended: Exited) -> None:
        self.forget(ended.id)
        self._ended.put_nowait(ended)

    def _belongs(self, running: Running) -> bool:
        try:
            return running.id in (self._proc / str(running.pid) / "cgroup").read_text()
        except OSError:
            return False
