"""Asks the engine what became of a container; those that wait at the same time are asked about with one Podman."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from clawmates.node.engines.base import EngineError


@dataclass(slots=True)
class Lookups:
    """``ask`` gives a line for each of these names, in any order, or raises :class:`EngineError`."""

    ask: Callable[[tuple[str, ...]], Awaitable[bytes]]
    _waiting: dict[str, asyncio.Future[tuple[str, ...]]] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, name: str) -> tuple[str, ...]:
        """The words of that container's line behind its name. Raises :class:`EngineError`."""
        answer: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answer
        try:
            async with self._turn:
                if not answer.done():
                    await self._ask_all()
            return await answer
        finally:
            self._waiting.pop(name, None)
            answer.cancel()

    async def _ask_all(self) -> None:
        """Nobody is told that another's container is not there: who was asked about with it is asked about alone."""
        asked, self._waiting = self._waiting, {}
        try:
            await self._answer(asked)
        finally:
            # Where this one is cancelled, the next in turn asks for the others.
            self._waiting |= {name: answer for name, answer in asked.items() if not answer.done()}

    async def _answer(self, asked: dict[str, asyncio.Future[tuple[str, ...]]]) -> None:
        try:
            found = _lines(await self.ask(tuple(asked)))
        except EngineError:
            found = {}
        for name, answer in asked.items():
            try:
                words = found.get(name) or _lines(await self.ask((name,)))[name]
            except EngineError as error:
                _fail(answer, error)
            except KeyError:
                _fail(answer, EngineError("unreadable answer"))
            else:
                if not answer.done():
                    answer.set_result(words)


def _fail(answer: asyncio.Future[tuple[str, ...]], error: EngineError) -> None:
    if not answer.done():
        answer.set_exception(error)


def _lines(said: bytes) -> dict[str, tuple[str, ...]]:
    rows = [line.split() for line in said.decode(errors="replace").splitlines()]
    return {row[0]: tuple(row[1:]) for row in rows if row}
