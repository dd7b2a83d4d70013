"""The image's console: joins its standard streams to the mate's terminal channel, line by line.

Run inside a bot's container by ``clawmates chat`` and ``prove``; it understands nothing of what it passes on.
"""

from __future__ import annotations

import asyncio
import os
import sys

from clawmates.base.hardening import harden, quiet_loop
from clawmates.wire.terminal import HOST, MAX_LINE, PORT

UNREACHABLE = 69
CHUNK = 64 * 1024


async def _main() -> int:
    loop = asyncio.get_running_loop()
    quiet_loop(loop)
    try:
        reader, writer = await asyncio.open_connection(HOST, PORT, limit=MAX_LINE)
    except OSError:
        return UNREACHABLE
    stdin = asyncio.StreamReader(limit=MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin.buffer)

    async def typed() -> None:
        while chunk := await stdin.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()

    typing = asyncio.create_task(typed())
    try:
        while chunk := await reader.read(CHUNK):
            os.write(1, chunk)
    except OSError:
        return UNREACHABLE
    finally:
        typing.cancel()
    return 0


if __name__ == "__main__":
    harden()
    sys.exit(asyncio.run(_main()))
