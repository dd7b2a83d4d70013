"""Lines out of a response body, bounded: newline-delimited JSON, and what server-sent events are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.http.client import TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

MAX_LINE = 1 << 20


async def lines(chunks: AsyncIterator[bytes], limit: int = MAX_LINE) -> AsyncGenerator[bytes, None]:
    """Each line without its end, LF or CR LF. Raises :class:`TooLargeError` past ``limit`` bytes.

    A line that the stream breaks off is dropped: half an answer is not taken for a whole one.
    """
    pending = bytearray()
    async for chunk in chunks:
        looked_at = len(pending)
        pending += chunk
        start = 0
        while (end := pending.find(b"\n", max(start, looked_at))) >= 0:
            if end - start > limit:
                raise TooLargeError
            yield bytes(pending[start:end]).removesuffix(b"\r")
            start = end + 1
        del pending[:start]
        if len(pending) > limit:
            raise TooLargeError


async def objects(chunks: AsyncIterator[bytes], limit: int = MAX_LINE) -> AsyncGenerator[bytes, None]:
    """Each line that holds anything."""
    async for line in lines(chunks, limit):
        if line:
            yield line
