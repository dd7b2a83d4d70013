"""The mate's side of :mod:`clawmates.mate.handover.child`: a program for one hand-over, spoken to in frames."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAM = "clawmates.mate.handover.child"
SECONDS = 15.0
"""For one answer; the program's own start is part of the first."""
LENGTH_BYTES = 4
MOST = 4 << 20
PUBLIC_BYTES = 32


class HelperError(Exception):
    """The child did not do what it was asked: it could not start, or what it was given does not open."""


@dataclass(frozen=True, slots=True)
class _Child:
    process: asyncio.subprocess.Process
    source: asyncio.StreamReader
    target: asyncio.StreamWriter

    async def ask(self, *frames: bytes) -> bytes:
        """Says ``frames`` and returns the next one that is said. Raises :class:`HelperError`."""
        try:
            async with asyncio.timeout(SECONDS):
                for frame in frames:
                    self.target.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)
                await self.target.drain()
                size = int.from_bytes(await self.source.readexactly(LENGTH_BYTES), "big")
                if size > MOST:
                    raise HelperError
                return await self.source.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            raise HelperError from None


@asynccontextmanager
async def _child(what: str) -> AsyncIterator[_Child]:
    """Alive within the block, and not after it."""
    like_us = (*(("-S",) if sys.flags.no_site else ()), *(("-OO",) if sys.flags.optimize else ()))
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-I", *like_us, "-m", PROGRAM, what),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MOST,
            env={},
        )
    )
    try:
        process = await asyncio.shield(starting)
    except OSError:
        raise HelperError from None
    except asyncio.CancelledError:
        await _end(await starting)
        raise
    try:
        if process.stdin is None or process.stdout is None:
            raise HelperError
        yield _Child(process, process.stdout, process.stdin)
    finally:
        ending = asyncio.create_task(_end(process))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        await process.stdout.read()


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals one context to somebody's key."""

    _child: _Child

    async def seal(self, public: bytes, info: bytes, plain: bytes) -> bytes:
        """HPKE enc ‖ ciphertext. Raises :class:`HelperError`."""
        return await self._child.ask(public, info, plain)


@dataclass(frozen=True, slots=True)
class Opener:
    """A key pair whose private half nobody has but the child."""

    _child: _Child
    public: bytes

    async def open(self, info: bytes, sealed: bytes) -> bytes:
        """What was sealed, once: the key is gone afterwards. Raises :class:`HelperError`."""
        return await self._child.ask(info, sealed)


@asynccontextmanager
async def sealer() -> AsyncIterator[Sealer]:
    """Raises :class:`HelperError`."""
    async with _child("seal") as child:
        yield Sealer(child)


@asynccontextmanager
async def opener() -> AsyncIterator[Opener]:
    """Raises :class:`HelperError`."""
    async with _child("open") as child:
        public = await child.ask()
        if len(public) != PUBLIC_BYTES:
            raise HelperError
        yield Opener(child, public)
