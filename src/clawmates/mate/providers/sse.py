"""Server-sent events out of a response body (WHATWG HTML, 9.2), bounded."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from clawmates.base.http.client import TooLargeError
from clawmates.mate.providers.ndjson import MAX_LINE, lines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator


async def events(chunks: AsyncIterator[bytes], limit: int = MAX_LINE) -> AsyncGenerator[bytes, None]:
    """The data of each event, lines joined by a newline. Raises :class:`TooLargeError` past ``limit`` bytes.

    An event that the stream does not finish with an empty line is dropped, as the standard says. Event names and ids
    are passed over: the providers repeat the name inside the data.
    """
    data: list[bytes] = []
    size = 0
    async with aclosing(lines(chunks, limit)) as every:
        async for line in every:
            if not line:
                if data:
                    yield b"\n".join(data)
                data, size = [], 0
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
                if size > limit:
                    raise TooLargeError
