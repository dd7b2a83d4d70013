"""All doors of the host: their folders, their sockets, their tasks.

A bot's folder is mounted into its running container, so it is made once and only its socket is replaced: a mate finds
the door of a restarted gateway in the very folder it already has.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.gateway.door import Door
from clawmates.gateway.listen import bind, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from clawmates.wire.door import DoorSpec

SOCKET_NAME = "door.sock"
FOLDER_MODE = 0o755
SOCKET_MODE = 0o666
"""Who may knock is decided by peer credentials, which the mate's mapped uid could not pass as a file mode."""


def prepare(root: Path) -> None:
    """Makes the folder of all doors, and removes the sockets a gateway before this one left. Raises ``OSError``."""
    root.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # a supervisor made it for us, as another user
        root.chmod(FOLDER_MODE)
    for stale in root.glob(f"*/*{SOCKET_NAME}*"):
        if stale.is_socket():
            stale.unlink()


@dataclass(frozen=True, slots=True)
class _Open:
    door: Door
    sock: socket.socket
    task: asyncio.Task[None]


class Doors:
    """Opens and closes doors; every door is a task of ``group``."""

    def __init__(self, root: Path, group: asyncio.TaskGroup, make: Callable[[DoorSpec], Door]) -> None:
        """``root`` has been through :func:`prepare`."""
        self._root = root
        self._group = group
        self._make = make
        self._open: dict[str, _Open] = {}
        self._lock = asyncio.Lock()

    def __iter__(self) -> Iterator[Door]:
        return iter([one.door for one in self._open.values()])

    def called(self, label: str) -> Door | None:
        """The door of the bot that can be called by this label."""
        return next((door for door in self if door.spec.hook == label), None)

    async def put(self, spec: DoorSpec) -> None:
        """Opens the bot's door, or updates it. Raises ``OSError``."""
        async with self._lock:
            known = self._open.get(spec.bot)
            if known is not None:
                known.door.update(spec)
                return
            folder = self._root / spec.bot
            with suppress(FileExistsError):
                folder.mkdir()
            if folder.is_symlink() or not folder.is_dir():
                raise NotADirectoryError
            folder.chmod(FOLDER_MODE)
            door = self._make(spec)
            sock = bind(folder / SOCKET_NAME, SOCKET_MODE)
            task = self._group.create_task(listen(sock, door.serve, door.most))
            self._open[spec.bot] = _Open(door, sock, task)

    def lease(self, until: Mapping[str, float | None]) -> None:
        """Until when these doors stay open."""
        for bot, end in until.items():
            if (known := self._open.get(bot)) is not None:
                known.door.lease.take(end)

    async def delete(self, bot: str) -> None:
        """Closes the bot's door and its tunnels, removes its folder and forgets it; unknown bots too."""
        async with self._lock:
            known = self._open.pop(bot, None)
            if known is not None:
                await _close([known])
            folder = self._root / bot
            (folder / SOCKET_NAME).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                folder.rmdir()

    async def drain(self, seconds: float) -> None:
        """Refuses new tunnels, waits for running turns at most so long, then closes every door, folders staying."""
        for door in self:
            door.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for door in self:
                    await door.idle(seconds)
        async with self._lock:
            doors = list(self._open.values())
            self._open.clear()
            await _close(doors)


async def _close(doors: list[_Open]) -> None:
    """All at once: each may take a moment to send its last words."""
    for one in doors:
        one.door.lease.forget()
        one.task.cancel()
    if doors:
        await asyncio.wait([one.task for one in doors])
    for one in doors:
        one.sock.close()  # a task that was cancelled before its first step has not
