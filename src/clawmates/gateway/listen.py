"""Sockets that are listened on: unix ones made in place without a moment's absence, each connection a task."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

from clawmates.base.hardening import place_of
from clawmates.gateway.streams import LIMIT, Reader, StreamEdge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BACKLOG = 64


class InUseError(Exception):
    """Another process already listens there."""


def bind(path: Path, mode: int) -> socket.socket:
    """A listening socket at ``path``, replacing whatever socket lay there in one rename. Raises ``OSError``.

    A unix socket's path has at most 107 bytes (unix(7)).
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        fresh.unlink(missing_ok=True)
        sock.bind(str(fresh))
        fresh.chmod(mode)
        sock.listen(BACKLOG)
        fresh.rename(path)
    except BaseException:
        sock.close()
        fresh.unlink(missing_ok=True)
        raise
    return sock


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises ``OSError``.

    Its protocol is named, and so is that of what it accepts: asyncio sets TCP_NODELAY only then.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def refuse_second(path: Path) -> None:
    """Raises :class:`InUseError` when somebody answers at ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return
    raise InUseError


async def listen(sock: socket.socket, serve: Serve, most: int) -> None:
    """Serves connections until cancelled, at most ``most`` at a time; one more is closed unread. Owns ``sock``."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except Exception as error:  # noqa: BLE001 - a defect met by one bot must not close the others' doors
            sys.stderr.write(f"connection failed: {place_of(error)}\n")
            writer.transport.abort()

    try:
        async with asyncio.TaskGroup() as group:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if len(running) >= most or sock.fileno() < 0:
                    writer.transport.abort()
                    return
                task = group.create_task(run(reader, writer))
                running.add(task)
                task.add_done_callback(running.discard)

            create = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            server = await create(lambda: StreamEdge(Reader(LIMIT), connected), sock=sock)
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
    finally:
        sock.close()
