"""Server-sent events out of a response body (WHATWG HTML, 9.2), bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.http.client import TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

MAX_EVENT = 1 << 20


async def events(chunks: AsyncIterator[bytes], limit: int = MAX_EVENT) -> AsyncGenerator[bytes, None]:
    """The data of each event, lines joined by a newline. Raises :class:`TooLargeError` past ``limit`` bytes.

    An event that the stream does not finish with an empty line is dropped, as the standard says. Event names and ids
    are passed over: the providers repeat the name inside the data.
    """
    pending = bytearray()
    data: list[bytes] = []
    size = 0
    async for chunk in chunks:
        pending += chunk
        while (end := pending.find(b"\n")) >= 0:
            line = bytes(pending[:end]).removesuffix(b"\r")
            del pending[: end + 1]
            if not line:
                if data:
                    yield b"\n".join(data)
                data, size = [], 0
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
        if len(pending) + size > limit:
            raise TooLargeError
