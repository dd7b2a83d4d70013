"""Node's own unix socket: the CLI asks for the status, the supervisor for a clean stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.http import local
from clawmates.base.http.server import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from clawmates.wire.status import NodeStatus


def serving(
    path: Path, *, status: Callable[[], NodeStatus], halt: Callable[[], Awaitable[None]]
) -> AbstractAsyncContextManager[None]:
    """Listens while the block runs. Raises ``OSError`` when the socket cannot be made."""

    async def handle(request: Request) -> Reply:
        match request.method, request.path:
            case "GET", "/status":
                said = status()
                return Reply.json(said.brief() if request.query("isolation") == "no" else said)
            case "POST", "/stop":
                await halt()
                return Reply()
            case _:
                return Reply.error(404, "not-found")

    return local.serving(local.bind(path), handle)
