"""All stand-ins together, as the control socket sees them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.anthropic.server import Anthropic
from clawmates.simulator.control import SetLimits
from clawmates.simulator.frame import Frame
from clawmates.simulator.google.server import Google
from clawmates.simulator.journal import Journal
from clawmates.simulator.listener import LOOPBACK, Listener
from clawmates.simulator.model import Service, TlsMode
from clawmates.simulator.ollama.server import Ollama
from clawmates.simulator.openai.server import OpenAI
from clawmates.simulator.provider import Provider
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
    providers: dict[Service, Provider]
    frames: dict[Service, Frame]
    listeners: dict[Service, Listener]

    @classmethod
    def create(cls, *, ports: Ports, authority: Authority, tasks: Nursery, clock: Clock) -> World:
        """Binds all ports; raises ``OSError`` for one in use. :meth:`start` begins to accept."""
        telegram = Telegram(clock)
        models = (OpenAI(clock), Anthropic(clock), Google(clock), Ollama(clock))
        frames = {one.service: Frame(one, Journal(one.service, clock), clock) for one in (telegram, *models)}
        listeners: dict[Service, Listener] = {}
        for service, frame in frames.items():
            try:
                listeners[service] = Listener(
                    service,
                    frame.handle,
                    port=ports.of(service),
                    authority=authority,
                    tasks=tasks,
                    clock=clock,
                    address=ports.addresses.get(service, LOOPBACK),
                )
            except OSError:
                for listener in listeners.values():
                    listener.close()
                raise
        return cls(telegram, {one.service: one for one in models}, frames, listeners)

    async def start(self) -> None:
        """Begins to accept, in good order."""
        await asyncio.gather(*(listener.show(TlsMode.GOOD) for listener in self.listeners.values()))

    async def reset(self) -> None:
        """Forgets bots, keys, calls, faults, limits and style, and closes all connections. Journals go on counting."""
        self.telegram.bots.clear()
        self.telegram.limits = SetLimits()
        for provider in self.providers.values():
            provider.reset()
        for frame in self.frames.values():
            frame.faults.clear()
            frame.journal.clear()
        await self.start()

    def close(self) -> None:
        """Stops listening."""
        for listener in self.listeners.values():
            listener.close()
