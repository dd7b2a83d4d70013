"""Both stand-ins together, as the control socket sees them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Frame
from clawmates.simulator.journal import Journal
from clawmates.simulator.listener import Listener
from clawmates.simulator.model import Service, Style, TlsMode
from clawmates.simulator.openai.server import OpenAI
from clawmates.simulator.telegram.server import Telegram

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.base.x509 import Authority
    from clawmates.simulator.model import Ports
    from clawmates.simulator.web import Nursery


@dataclass(slots=True)
class World:
    """The state of one simulator process."""

    telegram: Telegram
    openai: OpenAI
    frames: dict[Service, Frame]
    listeners: dict[Service, Listener]

    @classmethod
    def create(cls, *, ports: Ports, authority: Authority, tasks: Nursery, clock: Clock) -> World:
        """Binds both ports; raises ``OSError`` for one in use. :meth:`start` begins to accept."""
        telegram, openai = Telegram(clock), OpenAI(clock)
        frames = {
            Service.TELEGRAM: Frame(telegram, Journal(Service.TELEGRAM, clock), clock),
            Service.OPENAI: Frame(openai, Journal(Service.OPENAI, clock), clock),
        }
        wanted = {Service.TELEGRAM: ports.telegram, Service.OPENAI: ports.openai}
        listeners: dict[Service, Listener] = {}
        for service, frame in frames.items():
            try:
                listeners[service] = Listener(
                    service.host,
                    frame.handle,
                    port=wanted[service],
                    authority=authority,
                    tasks=tasks,
                    clock=clock,
                )
            except OSError:
                for listener in listeners.values():
                    listener.close()
                raise
        return cls(telegram, openai, frames, listeners)

    async def start(self) -> None:
        """Begins to accept, in good order."""
        await asyncio.gather(*(listener.show(TlsMode.GOOD) for listener in self.listeners.values()))

    async def reset(self) -> None:
        """Forgets bots, keys, calls, faults and style, and closes all connections. Journals go on counting."""
        self.telegram.bots.clear()
        self.openai.keys.clear()
        self.openai.models.clear()
        self.openai.style = Style()
        self.openai.stored = 0
        for frame in self.frames.values():
            frame.faults.clear()
            frame.journal.clear()
        await self.start()

    def close(self) -> None:
        """Stops listening."""
        for listener in self.listeners.values():
            listener.close()
