"""Carries steps out, one a bot at a time, and notes what came of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.hardening import place_of
from clawmates.node import succession
from clawmates.node.backoff import Backoff
from clawmates.node.boot import Ticketed
from clawmates.node.events import Happening
from clawmates.node.hold import WITHOUT_TICKET, trouble_state
from clawmates.node.host import Host
from clawmates.node.reconcile import Verb, Wanted
from clawmates.node.spec import door_folder
from clawmates.node.steps import Order, StepFailedError
from clawmates.wire.codes import Trouble
from clawmates.wire.gateway_client import GatewayError
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.hold import Hold


ITS_OWN_FAULT = frozenset({Trouble.CRASHING, Trouble.ISOLATION_WEAK, Trouble.ENGINE_FAILED})
"""What speaks against an image whose container does not come up."""


@dataclass(frozen=True, slots=True)
class Acts:
    """Everything that is done to one bot."""

    host: Host

    async def carry_out(self, verb: Verb, hold: Hold, wanted: Wanted | Trouble | None) -> None:
        """One step; whatever goes wrong with it is noted in ``hold``, which is not busy afterwards."""
        host = self.host
        try:
            await self._do(verb, hold, wanted)
        except StepFailedError as failed:
            hold.findings = failed.findings or hold.findings
            self._failed(hold, verb, wanted, failed.trouble)
        except GatewayError:
            self._failed(hold, verb, wanted, Trouble.GATEWAY_DOWN)
        except OSError:
            self._failed(hold, verb, wanted, Trouble.DISK_FULL)
        except Exception as error:  # noqa: BLE001 - one bot's surprise must not end the others; type and place, no text
            sys.stderr.write(f"step failed: {place_of(error)}\n")
            self._failed(hold, verb, wanted, Trouble.ENGINE_FAILED)
        else:
            if verb not in {Verb.START, Verb.TICKET, Verb.REPLACE}:
                hold.chores = Backoff()
        finally:
            hold.busy = False
            for life in hold.lives():
                if life.id in host.ended and host.notice(hold, life.id):
                    host.sweep.set()
            host.changed.set()

    async def _do(self, verb: Verb, hold: Hold, wanted: Wanted | Trouble | None) -> None:
        match verb, wanted:
            case Verb.STOP, _:
                await self._stop(hold)
            case Verb.FORGET, _:
                await self._forget(hold)
            case Verb.START, Wanted():
                await self._start(hold, wanted)
            case Verb.CHECK, Wanted():
                await self._check(hold, wanted)
            case Verb.TICKET, Wanted():
                await self._ticket(hold, wanted)
            case Verb.DOOR, Wanted():
                await self._open(hold, wanted)
            case _:
                await succession.carry_out(self.host, verb, hold, wanted)

    async def _start(self, hold: Hold, wanted: Wanted) -> None:
        host = self.host
        began = host.now
        hold.restarts += 1 if hold.generation else 0
        hold.generation = hold.next_generation(host.clock.now().timestamp())
        vault_was_down = hold.code in WITHOUT_TICKET
        if not vault_was_down:
            hold.becomes(BotState.STARTING, "", host.at)
        hold.leftover, hold.username = True, ""
        hold.door, hold.door_instance = wanted.door, host.instance
        started = await host.steps.start(
            Order(
                bot=hold.bot,
                generation=hold.generation,
                container=host.container(wanted.bot, wanted.release, hold, hold.generation),
                door=wanted.door,
                items=wanted.bot.items,
                ticket_first=vault_was_down,
            )
        )
        hold.runs(started.running)
        hold.began, hold.findings, hold.written = host.now, started.findings, started.written
        hold.ticketed = dict(wanted.bot.items)
        hold.becomes(BotState.STARTING, "", host.at)
        host.say(Happening.STARTED, hold, milliseconds=int((hold.began - began) * 1000))

    async def _stop(self, hold: Hold) -> None:
        if hold.running is None:
            return
        await self.host.steps.stop(hold.running.name)
        hold.gone()
        hold.starts = Backoff()
        self.host.say(Happening.STOPPED, hold)

    async def _check(self, hold: Hold, wanted: Wanted) -> None:
        host = self.host
        if hold.running is None:
            return
        try:
            spec = host.container(wanted.bot, wanted.release, hold, hold.generation)
            read = await host.steps.check(spec, hold.running)
        except StepFailedError:
            hold.gone()
            raise
        hold.findings, hold.checked = read.findings, True
        # Without a note of the start this moment is the best that is known.
        hold.written = hold.written or read.written

    async def _ticket(self, hold: Hold, wanted: Wanted) -> None:
        host = self.host
        items = dict(wanted.bot.items)
        container = host.container(wanted.bot, wanted.release, hold, hold.generation)
        ticketed = Ticketed(
            generation=hold.generation, items=items, written=hold.written, lived=hold.live_at is not None
        )
        await host.steps.ticket(hold.bot, ticketed, container.user_outside)
        hold.ticketed = items
        if hold.code in WITHOUT_TICKET:
            hold.becomes(BotState.LIVE, "", host.at)
        host.say(Happening.TICKETED, hold)

    async def _open(self, hold: Hold, wanted: Wanted) -> None:
        instance = self.host.instance
        await self.host.steps.open(wanted.door)
        hold.door, hold.door_instance = wanted.door, instance

    async def _forget(self, hold: Hold) -> None:
        # A gateway that is down has no doors; one that comes back with some says so in its status.
        if self.host.instance:
            await self.host.steps.gateway.delete(hold.bot)
        self.host.steps.forget(hold.bot, door_folder(self.host.folders, hold.bot))
        hold.door, hold.door_instance, hold.leftover = None, "", False

    def _failed(self, hold: Hold, verb: Verb, wanted: Wanted | Trouble | None, trouble: Trouble) -> None:
        host = self.host
        match verb:
            case Verb.START | Verb.CHECK if hold.running is None:
                hold.starts = hold.starts.failed(host.now, host.jitter())
                hold.becomes(trouble_state(trouble), trouble, host.at)
            case Verb.REPLACE:
                # The life that runs is as well as it was.
                hold.successions = hold.successions.failed(host.now, host.jitter())
                hold.last, hold.last_at = trouble, host.at
            case Verb.TICKET:
                hold.tickets = hold.tickets.failed(host.now, host.jitter())
                hold.becomes(BotState.DEGRADED, trouble, host.at)
            case _:
                hold.chores = hold.chores.failed(host.now, host.jitter())
        if isinstance(wanted, Wanted):
            image = wanted.release.image.config
            if trouble is Trouble.IMAGE_MISSING:
                host.images.discard(image)
            if verb in {Verb.START, Verb.REPLACE} and trouble in ITS_OWN_FAULT:
                hold.blames(image, trouble)
        if trouble is Trouble.ENGINE_FAILED:
            host.sweep.set()
        host.say(trouble, hold)
