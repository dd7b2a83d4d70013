"""Asking a process over its unix socket: a connection a call, for it may restart between any two."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.base.http.client import Connection, HttpError

if TYPE_CHECKING:
    from pathlib import Path

MAX_ANSWER = 8 << 20
"""A thousand bots with all findings fit."""
FOREIGN = "{} answers, but not as this version of ClawMates understands: restart the platform with this one."


class AwayError(Exception):
    """Nobody answers there, or not in time."""


async def ask(
    socket: Path, host: str, method: str, target: str, body: bytes = b"", *, seconds: float, most: int = MAX_ANSWER
) -> tuple[int, bytes]:
    """(status, body) of an answer; raises :class:`AwayError`."""
    try:
        async with asyncio.timeout(seconds):
            connection = await Connection.unix(str(socket), host)
            try:
                response = await connection.request(method, target, body=body)
                return response.status, await response.read(most)
            finally:
                await connection.close()
    except (TimeoutError, HttpError):
        raise AwayError from None
