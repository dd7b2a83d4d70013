"""A conversation with a bot through the console inside its own container."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.terminal import MAX_LINE, Heard, Said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType


GOODBYE_SECONDS = 3.0


class ConsoleError(Exception):
    """The bot's console cannot be reached: is the bot live, and is its channel the terminal?"""


@dataclass(slots=True)
class Console:
    """``command`` runs the image's console inside the container; text goes through its pipes and nowhere else."""

    command: Sequence[str]
    environment: Mapping[str, str]
    _process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(self.environment),
            limit=MAX_LINE,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        # The runtime is gone and the console holds the other ends of our pipes: asyncio has no public way to let go.
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        # One turn of the loop, in which the pipes are really closed.
        await asyncio.sleep(0)

    async def say(self, text: str) -> AsyncIterator[Heard]:
        """Says one thing and gives the answer as it grows; the last piece carries the whole ``reply``.

        Raises :class:`ConsoleError` when the other side is gone.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ConsoleError(ConsoleError.__doc__)
        try:
            process.stdin.write(encode_json(Said(text=text)) + b"\n")
            await process.stdin.drain()
            while True:
                heard = decode_json(Heard, await process.stdout.readline(), MAX_LINE)
                yield heard
                if heard.reply is not None:
                    return
        except (OSError, ShapeError, ValueError):
            raise ConsoleError(ConsoleError.__doc__) from None

    async def ask(self, text: str) -> str:
        """Says one thing and gives the whole answer."""
        async for heard in self.say(text):
            if heard.reply is not None:
                return heard.reply
        raise ConsoleError(ConsoleError.__doc__)
