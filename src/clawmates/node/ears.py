"""Listens to the engine and the gateway, and clears away what an engine's failure may have left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.node.backoff import Backoff
from clawmates.node.engines.base import EngineError
from clawmates.node.events import Happening, NodeEvent
from clawmates.node.hold import bot_of, generation_of
from clawmates.node.host import Host
from clawmates.node.spec import USER, first_uid
from clawmates.node.steps import StepFailedError
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.gateway_client import GatewayError
from clawmates.wire.gatewayctl import MAX_LEASES, DoorLeases

if TYPE_CHECKING:
    from clawmates.node.engines.base import Running
    from clawmates.node.hold import Hold
    from clawmates.wire.codes import Event
    from clawmates.wire.gatewayctl import GatewayStatus

GATEWAY_RETRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ears:
    """Each method but :meth:`_hear` runs until it is cancelled."""

    host: Host

    async def exits(self, group: asyncio.TaskGroup) -> None:
        """Hears of containers that end."""
        host = self.host
        async for ended in host.steps.engine.events():
            hold = next((one for one in host.holds.values() if any(ended.id == life.id for life in one.lives())), None)
            if hold is None or hold.busy:
                host.ended.append(ended.id)
                continue
            host.notice(hold, ended.id)
            host.changed.set()
            # The next start has another name and need not wait for this.
            group.create_task(self._clear(ended.name))

    async def sweep_up(self) -> None:
        """After an engine's failure, or a node's: ends and removes what belongs to nobody."""
        while True:
            await self.host.sweep.wait()
            self.host.sweep.clear()
            with suppress(EngineError):
                found = await self.host.steps.engine.list()
                await asyncio.gather(*(self._clear(one.name) for one in found if not self._belongs(one)))

    async def gateway(self) -> None:
        """Follows one gateway after the other; a new instance gets every door again."""
        host, after, last = self.host, 0, ""
        while True:
            with suppress(GatewayError):
                status = await host.steps.gateway.status()
                after = after if status.instance == last else 0
                last = status.instance
                self._gateway_is(status)
                while True:
                    news = await host.steps.gateway.events(after, last)
                    if news.instance != last:
                        break
                    for one in news.events:
                        after = max(after, one.number)
                        if hold := host.holds.get(one.bot):
                            self._hear(hold, one.event)
                    host.changed.set()
                continue
            if host.instance:
                host.instance = ""
                host.log.write(NodeEvent(code=Trouble.GATEWAY_DOWN))
                host.changed.set()
            await asyncio.sleep(GATEWAY_RETRY_SECONDS)

    async def leases(self) -> None:
        """Tells the gateway of leases that were renewed or have ended; a new one hears of them with its doors."""
        host = self.host
        while True:
            await host.leases.changed.wait()
            host.leases.changed.clear()
            news = list(host.leases.doors().items())
            try:
                for start in range(0, len(news), MAX_LEASES):
                    await host.steps.gateway.lease(DoorLeases(until=dict(news[start : start + MAX_LEASES])))
            except GatewayError:
                host.leases.changed.set()
                await asyncio.sleep(GATEWAY_RETRY_SECONDS)

    async def _clear(self, name: str) -> None:
        with suppress(StepFailedError):
            await self.host.steps.stop(name, 0)

    def _belongs(self, running: Running) -> bool:
        hold = self.host.holds.get(bot_of(running))
        if hold is None:
            return False
        # What is being started is not known by its id yet.
        starting = hold.busy and generation_of(running) == hold.newest
        return starting or any(life.id == running.id for life in hold.lives())

    def _hear(self, hold: Hold, event: Event) -> None:
        host, life = self.host, event.life or hold.generation
        if event.code is Code.OPENED:
            # A full disk is no reason to stop listening: the ticket is spent, and gone at the next one.
            with suppress(OSError):
                host.steps.spent(hold.bot, life, event.number, first_uid(hold.slot) + USER)
        if hold.heir is not None and life == hold.heir.generation:
            hold.hears_of_heir(event, host.now)
            return
        if life != hold.generation:
            return  # of a life that is over
        born = event.code is Code.LIVE and hold.live_at is None
        hold.hears(event, host.now, host.jitter(), host.at)
        if born:
            # Where even RAM is full, a restarted node waits for its next word.
            with suppress(OSError):
                host.steps.lived(hold.bot, life)

    def _gateway_is(self, status: GatewayStatus) -> None:
        host = self.host
        if host.instance != status.instance:
            host.log.write(NodeEvent(code=Happening.GATEWAY))
        host.instance = status.instance
        for hold in host.holds.values():
            hold.chores = Backoff()
        for door in status.doors:
            hold = host.holds.get(door.bot) or host.fresh_hold(door.bot)
            hold.leftover = True
        host.changed.set()
