"""What a stand-in received, bounded, with a bell for those who wait."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.clock import stamp
from clawmates.simulator.model import JOURNAL_CALLS, Call, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clawmates.base.clock import Clock

T = TypeVar("T")

_CREDENTIALS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"})
JOURNAL_BYTES = 64 << 20
"""Bodies that one journal keeps, however few the calls."""


class Bell:
    """Wakes everybody who waits for something to have changed; nobody polls."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Something changed."""
        if self._next is not None:
            self._next.set_result(None)
            self._next = None

    async def until(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """What ``look`` finds, now or within ``seconds``; otherwise ``None``."""
        if (found := look()) is not None or seconds <= 0:
            return found
        try:
            async with asyncio.timeout(seconds):
                while found is None:
                    if self._next is None:
                        self._next = asyncio.get_running_loop().create_future()
                    # Shielded: one waiter's timeout must not cancel the future of all.
                    await asyncio.shield(self._next)
                    found = look()
        except TimeoutError:
            return look()
        return found


class Journal:
    """A ring of the last calls; numbers go on counting when old ones fall out."""

    def __init__(self, service: Service, clock: Clock, *, calls: int = JOURNAL_CALLS) -> None:
        self._service = service
        self._clock = clock
        self._limit = calls
        self._calls: deque[Call] = deque()
        self._bytes = 0
        self.last = 0
        """The number of the newest call."""
        self.bell = Bell()

    def begin(
        self,
        *,
        method: str,
        caller: str,
        tls: str,
        headers: Mapping[str, str],
        body: str,
        model: str = "",
        warnings: tuple[str, ...] = (),
    ) -> int:
        """Notes a call that has just arrived; returns its number."""
        self.last += 1
        self._calls.append(
            Call(
                number=self.last,
                service=self._service,
                method=method,
                caller=caller,
                received=self._clock.monotonic(),
                received_at=stamp(self._clock.now()),
                tls=tls,
                headers={name: value for name, value in headers.items() if name not in _CREDENTIALS},
                body=body,
                model=model,
                warnings=warnings,
            )
        )
        self._bytes += len(body)
        while len(self._calls) > self._limit or (self._bytes > JOURNAL_BYTES and len(self._calls) > 1):
            self._bytes -= len(self._calls.popleft().body)
        self.bell.ring()
        return self.last

    def note(self, number: int, **changes: object) -> None:
        """Changes fields of a call, if it is still remembered."""
        index = number - self.last - 1
        if -index > len(self._calls):
            return
        self._calls[index] = replace(self._calls[index], **changes)  # type: ignore[arg-type]
        self.bell.ring()

    def get(self, number: int) -> Call | None:
        """One call, if it is still remembered."""
        index = number - self.last - 1
        return self._calls[index] if 0 < -index <= len(self._calls) else None

    def since(self, number: int) -> list[Call]:
        """The remembered calls numbered above ``number``, oldest first; costs no more than they are many."""
        new = list(islice(reversed(self._calls), max(self.last - number, 0)))
        return new[::-1]

    def watch(self, *, after: int = 0, method: str = "", caller: str = "", finished: bool = False) -> Watch:
        """Those calls above ``after`` that fit, as they come. Methods compare without regard to case."""
        return Watch(self, after, method.lower(), caller, finished=finished)

    def clear(self) -> None:
        """Forgets all calls; numbers go on."""
        self._calls.clear()
        self._bytes = 0


class Watch:
    """A search that goes on where it stopped, so that waiting in a long journal costs nothing a call."""

    def __init__(self, journal: Journal, after: int, method: str, caller: str, *, finished: bool) -> None:
        self._journal = journal
        self._seen = after
        self._method = method
        self._caller = caller
        self._finished = finished
        self._open: list[int] = []
        self._found: list[int] = []

    def count(self) -> int:
        """How many fit by now."""
        for call in self._journal.since(self._seen):
            self._seen = call.number
            if self._method in {"", call.method.lower()} and self._caller in {"", call.caller}:
                self._open.append(call.number)
        still_open = []
        for number in self._open:
            call_now = self._journal.get(number)
            if self._finished and call_now is not None and not call_now.answered:
                still_open.append(number)
            else:
                self._found.append(number)
        self._open = still_open
        return len(self._found)

    def calls(self) -> list[Call]:
        """Those that fit and are still remembered, oldest first."""
        self.count()
        known = (self._journal.get(number) for number in sorted(self._found))
        return [call for call in known if call is not None]
