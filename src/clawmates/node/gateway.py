"""What node asks of the gateway, and a gateway in memory that answers for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from clawmates.base.clock import stamp
from clawmates.wire.door import DoorSpec
from clawmates.wire.gateway_client import GatewayDownError
from clawmates.wire.gatewayctl import BotEvent, DoorLeases, DoorStatus, Events, GatewayStatus

if TYPE_CHECKING:
    from clawmates.wire.codes import Event


class GatewayControl(Protocol):
    """The verbs of :mod:`clawmates.wire.gatewayctl`, as ``GatewayClient`` has them; each raises ``GatewayError``."""

    async def put(self, spec: DoorSpec) -> None:
        """Opens or updates a bot's door."""
        ...

    async def lease(self, leases: DoorLeases) -> None:
        """Says until when doors stay open."""
        ...

    async def delete(self, bot: str) -> None:
        """Closes a bot's door."""
        ...

    async def events(self, after: int, instance: str) -> Events:
        """The next events of that instance; at once for another instance."""
        ...

    async def status(self) -> GatewayStatus:
        """All doors."""
        ...


@dataclass(slots=True)
class FakeGateway:
    """``down`` makes every verb fail; :meth:`restart` forgets all doors as a new process would."""

    now: datetime
    instance: str = "one"
    down: bool = False
    doors: dict[str, DoorSpec] = field(default_factory=dict)
    until: dict[str, float | None] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _events: list[BotEvent] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, spec: DoorSpec) -> None:
        """Remembers the door."""
        self._check()
        self.calls.append(f"put {spec.bot}")
        self.doors[spec.bot] = spec
        self.until[spec.bot] = spec.until
        self._wake()

    async def lease(self, leases: DoorLeases) -> None:
        """Remembers until when."""
        self._check()
        self.until |= {bot: until for bot, until in leases.until.items() if bot in self.doors}

    async def delete(self, bot: str) -> None:
        """Forgets the door."""
        self._check()
        self.calls.append(f"delete {bot}")
        self.doors.pop(bot, None)

    async def events(self, after: int, instance: str) -> Events:
        """Waits for news, as the real one does."""
        while True:
            self._check()
            fresh = tuple(event for event in self._events if event.number > after or instance != self.instance)
            if fresh or instance != self.instance:
                return Events(instance=self.instance, events=fresh)
            news = self._news
            await news.wait()

    async def status(self) -> GatewayStatus:
        """Its doors, with nothing counted."""
        self._check()
        doors = tuple(
            DoorStatus(bot=bot, tunnels=0, bytes_out=0, bytes_in=0, turns=0, input_tokens=0, output_tokens=0, refused=0)
            for bot in self.doors
        )
        return GatewayStatus(instance=self.instance, doors=doors, flows=())

    def say(self, bot: str, event: Event) -> None:
        """A mate says something."""
        self._events.append(BotEvent(number=len(self._events) + 1, at=stamp(self.now), bot=bot, event=event))
        self._wake()

    def restart(self, instance: str) -> None:
        """Another process answers from now on."""
        self.instance = instance
        self.doors.clear()
        self._events.clear()
        self.down = False
        self._wake()

    def fall(self) -> None:
        """Stops answering; whoever waits is cut off."""
        self.down = True
        self._wake()

    def _check(self) -> None:
        if self.down:
            raise GatewayDownError

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
