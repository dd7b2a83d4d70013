"""An answer word by word in the style's time, and what happens to it after so many of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from clawmates.simulator.model import Failure, Fault, FaultKind, Style
from clawmates.simulator.web import DroppedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Speech(Protocol):
    """One answer in the words of its API."""

    text: str

    def begin(self) -> bytes:
        """What comes before the first word."""
        ...

    def delta(self, word: str) -> bytes:
        """One more word."""
        ...

    def end(self, *, cut: bool) -> bytes:
        """What comes behind the last word; ``cut`` when the request allows no more of them."""
        ...

    def fail(self, failure: Failure | None) -> bytes:
        """The end of a stream that fails."""
        ...

    def broken(self) -> bytes:
        """A piece that is not JSON."""
        ...


async def speak(
    speech: Speech, words: Sequence[str], style: Style, fault: Fault | None, limit: int | None
) -> AsyncIterator[bytes]:
    """The pieces of a stream, at most ``limit`` words; raises :class:`DroppedError` where the fault says so."""
    await asyncio.sleep(style.first_byte_ms / 1000)
    yield speech.begin()
    for index, word in enumerate(words):
        if fault is not None and index == fault.words:
            match fault.kind:
                case FaultKind.DROP_MIDWAY:
                    raise DroppedError
                case FaultKind.STALL:
                    await asyncio.sleep(fault.seconds)
                case FaultKind.BAD_JSON:
                    yield speech.broken()
                    return
                case FaultKind.STREAM_FAILURE:
                    yield speech.fail(fault.failure)
                    return
                case _:
                    pass
        if limit is not None and index == limit:
            yield speech.end(cut=True)
            return
        if index and style.gap_ms:
            await asyncio.sleep(style.gap_ms / 1000)
        yield speech.delta(word)
    yield speech.end(cut=False)


async def whole(speech: Speech, words: Sequence[str], style: Style, limit: int | None) -> bool:
    """Fills ``speech.text`` for an answer in one piece; whether the request allowed no more of it."""
    await asyncio.sleep(style.first_byte_ms / 1000)
    allowed = words if limit is None else words[:limit]
    speech.text = "".join(allowed)
    return len(allowed) < len(words)


def ending(fault: Fault | None) -> Failure | None:
    """The failure that a whole answer ends with, if any."""
    return fault.failure if fault is not None and fault.kind is FaultKind.STREAM_FAILURE else None
