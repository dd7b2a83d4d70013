"""Asking control, over mutual TLS 1.3: node's thin client of :mod:`clawmates.wire.control`."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.control import MAX_DESIRED_BYTES, POLL_SECONDS, Report
from clawmates.wire.desired import DesiredState

CALL_SECONDS = 15.0
_MOST = 1 << 16


class ControlError(Exception):
    """Control was asked in vain."""


class ControlUnreachableError(ControlError):
    """No answer, or a refusal."""


class DesiredUnreadableError(ControlError):
    """An answer that is no desired state."""


@dataclass(slots=True)
class ControlClient:
    """One connection, opened when it is needed; one call at a time. Every call raises :class:`ControlError`."""

    host: str
    port: int
    tls: ssl.SSLContext
    server_name: str = "control"
    _connection: Connection | None = None

    async def desired(self, after: int) -> DesiredState | None:
        """The desired state once it is newer than ``after``; ``None`` when it was not for :data:`POLL_SECONDS`."""
        status, body = await self._call("GET", f"/v1/desired?after={after}", b"", POLL_SECONDS + CALL_SECONDS)
        if status == 204:
            return None
        try:
            return decode_json(DesiredState, body, MAX_DESIRED_BYTES)
        except ShapeError:
            raise DesiredUnreadableError from None

    async def report(self, report: Report) -> None:
        """Says how the node is; the same report may be said again."""
        await self._call("POST", "/v1/report", encode_json(report), CALL_SECONDS)

    async def close(self) -> None:
        """Hangs up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _call(self, method: str, target: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(seconds):
                connection = await self._open()
                response = await connection.request(method, target, body=body)
                answer = await response.read(MAX_DESIRED_BYTES if response.status == 200 else _MOST)
        except (TimeoutError, HttpError, OSError):
            await self.close()
            raise ControlUnreachableError from None
        except asyncio.CancelledError:
            await self.close()
            raise
        if response.status not in {200, 204}:
            raise ControlUnreachableError
        return response.status, answer

    async def _open(self) -> Connection:
        if self._connection is not None and not self._connection.reusable:
            await self.close()
        if self._connection is None:
            self._connection = await Connection.tcp(self.host, self.port, tls=self.tls, server_name=self.server_name)
        return self._connection
