"""What the vault's listener puts up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base import notify
from clawmates.base.serving import server as serving
from clawmates.base.serving.limits import Callers, Limits
from clawmates.base.shape import encode_json
from clawmates.wire.callers import caller_of
from clawmates.wire.names import ServiceName
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl
    from collections.abc import Sequence

    from starlette.types import ASGIApp

HEAD_SECONDS = 10
HANDSHAKE_SECONDS = 10
MAX_HEAD = 16 * 1024
MAX_CONNECTIONS = 512
KEPT_FOR_SERVICES = 64
"""Of these, so many are for callers with a certificate: mates and strangers cannot keep node and control out."""
MAX_SHAKING = 256
CONNECTION_SECONDS = 3600.0
KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 5


def build_server(
    app: ASGIApp, context: ssl.SSLContext, sockets: Sequence[socket.socket], stop: asyncio.Event
) -> serving.Server:
    """Serves on ``sockets`` until ``stop``, and tells the supervisor when it is ready."""
    limits = Limits(
        head_seconds=HEAD_SECONDS,
        max_head=MAX_HEAD,
        max_connections=MAX_CONNECTIONS,
        kept=KEPT_FOR_SERVICES,
        max_shaking=MAX_SHAKING,
        handshake_seconds=HANDSHAKE_SECONDS,
        connection_seconds=CONNECTION_SECONDS,
        keep_alive_seconds=KEEP_ALIVE_SECONDS,
        grace_seconds=GRACE_SECONDS,
        malformed=encode_json({"error": {"code": VaultRefusal.MALFORMED.value}}),
    )
    callers = Callers(caller_of, known=lambda caller: isinstance(caller, ServiceName))

    def started() -> None:
        names = [sock.getsockname()[:2] for sock in sockets]
        notify.ready(" ".join(f"{host}:{port}" for host, port in names))

    return serving.build_server(app, context, limits, callers, stop=stop, started=started)
