"""Node's own unix socket: the CLI asks for the status, the supervisor for a clean stop."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clawmates.base.http import server
from clawmates.base.http.server import Peer, Reply, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from clawmates.wire.status import NodeStatus


@asynccontextmanager
async def serving(
    path: Path, *, status: Callable[[], NodeStatus], halt: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Listens while the block runs. Raises ``OSError`` when the socket cannot be made."""

    async def handle(request: Request, _peer: Peer) -> Reply:
        match request.method, request.path:
            case "GET", "/status":
                return Reply.json(status())
            case "POST", "/stop":
                await halt()
                return Reply()
            case _:
                return Reply.error(404, "not-found")

    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
            task.add_done_callback(connections.discard)
        await server.serve(reader, writer, handle=handle, allowed=allowed)

    listening = await asyncio.start_unix_server(serve, sock=_bind(path))
    try:
        yield
    finally:
        listening.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _bind(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
    except OSError:
        sock.close()
        raise
    return sock


def allowed(peer: Peer) -> bool:
    """Root, and whoever runs node."""
    return peer.uid in {0, os.geteuid()}
