"""A process's own unix socket: whom it answers is what the kernel says of the peer, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clawmates.base.http import server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from clawmates.base.http.server import Peer, Reply, Request


def bind(path: Path) -> socket.socket:
    """A socket at ``path`` (0600), replacing whatever socket lay there. Raises ``OSError``."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def serving(sock: socket.socket, handle: Callable[[Request], Awaitable[Reply]]) -> AsyncIterator[None]:
    """Answers those who are :func:`allowed` while the block runs; at its end whoever is still connected is cut off."""
    connections: set[asyncio.Task[None]] = set()

    async def answer(request: Request, _peer: Peer) -> Reply:
        return await handle(request)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
            task.add_done_callback(connections.discard)
        await server.serve(reader, writer, handle=answer, allowed=allowed)

    listening = await asyncio.start_unix_server(serve, sock=sock)
    try:
        yield
    finally:
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def allowed(peer: Peer) -> bool:
    """Root, and whoever runs this process."""
    return peer.uid in {0, os.geteuid()}
