"""Keeps running what should run: watches, decides through :mod:`clawmates.node.reconcile`, carries the steps out."""

from __future__ import annotations

import asyncio
import math
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock, stamp
from clawmates.base.eventlog import EventLog
from clawmates.base.hardening import place_of
from clawmates.base.paths import Run
from clawmates.node.backoff import Backoff
from clawmates.node.boot import Ticketed
from clawmates.node.engines.base import EngineError
from clawmates.node.events import Happening, NodeEvent
from clawmates.node.hold import WITHOUT_TICKET, Hold, bot_of, free_slot, generation_of, slot_of, trouble_state
from clawmates.node.reconcile import Verb, Wanted, decide
from clawmates.node.spec import LABEL_SHAPE, USER, container_spec, door_folder, door_spec, first_uid, settled
from clawmates.node.steps import Order, StepFailedError, Steps
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.desired import DesiredState
from clawmates.wire.gateway_client import GatewayError
from clawmates.wire.release import Release
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.wire.codes import Event
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.gatewayctl import GatewayStatus
    from clawmates.wire.leases import Lease

GATEWAY_RETRY_SECONDS = 0.1
REMEMBERED_ENDS = 1024


@dataclass(slots=True)
class Keeper:
    """All bots of one host. ``jitter`` gives numbers in [0, 1)."""

    steps: Steps
    folders: Run
    memory_mib: int
    clock: Clock
    jitter: Callable[[], float]
    log: EventLog
    desired: DesiredState | None = None
    desired_trouble: Trouble | None = None
    release: Release | Trouble = Trouble.RELEASE_MISSING
    release_known: bool = False
    """Whether the release has been looked at; until then nothing is said of it."""
    image: str = ""
    """Config digest of the signed image that the engine holds."""
    instance: str = ""
    """The gateway that answers; empty when none does."""
    holds: dict[str, Hold] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _halting: bool = False
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ENDS))
    """Ids of containers that have ended while nobody could be told."""
    _wanted: dict[str, tuple[tuple[object, ...], Wanted | Trouble]] = field(default_factory=dict)
    _sweep: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, desired: DesiredState | Trouble) -> None:
        """A new desired state; an invalid one leaves the last good one in force."""
        if isinstance(desired, Trouble):
            self.desired_trouble = desired
            self.log.write(NodeEvent(code=desired))
        else:
            self.desired, self.desired_trouble = desired, None
            self.log.write(NodeEvent(code=Happening.DESIRED, number=desired.revision))
        self.changed.set()

    def may_run(self, release: Release | Trouble, image: str) -> None:
        """What the signed release is now, and the image the engine holds for it."""
        self.release, self.release_known, self.image = release, True, image
        if isinstance(release, Trouble):
            self.log.write(NodeEvent(code=release))
        else:
            self.log.write(NodeEvent(code=Happening.RELEASE, number=release.number))
        self.changed.set()

    def leased(self, leases: tuple[Lease, ...]) -> None:
        """What the vault says of the leases of these bots."""
        for lease in leases:
            hold = self.holds.get(lease.bot)
            if hold is not None and hold.hears_of_freeze(frozen=lease.frozen, at=self._at()):
                self._say(Trouble.FROZEN, hold)
        self.changed.set()

    async def adopt(self) -> None:
        """Takes over what an earlier node left running, and clears away the rest. Raises :class:`EngineError`."""
        for running in sorted(await self.steps.engine.list(), key=generation_of, reverse=True):
            bot = bot_of(running)
            taken = {hold.slot for hold in self.holds.values()}
            if not bot or not running.pid or bot in self.holds or slot_of(running) in taken:
                await self.steps.engine.stop(running.name, 0)
                continue
            hold = Hold(bot=bot, slot=slot_of(running), checked=False, leftover=True, began=self.clock.monotonic())
            hold.runs(running)
            noted = self.steps.boot.noted(bot)
            if noted is not None and noted.generation == hold.generation:
                hold.ticketed, hold.written = noted.items, noted.written
            hold.becomes(BotState.LIVE if hold.ticketed is not None else BotState.STARTING, "", self._at())
            self.holds[bot] = hold
            self._say(Happening.ADOPTED, hold)
        for bot in self.steps.boot.bots():
            if bot not in self.holds:
                self.steps.boot.remove(bot)
        self.changed.set()

    async def keep(self, stop: asyncio.Event) -> None:
        """Closes the difference until ``stop``; steps under way are finished first, containers run on."""
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(part) for part in (self._hear_exits(group), self._hear_gateway(), self._sweep_up())
            ]
            ending = group.create_task(stop.wait())
            ending.add_done_callback(lambda _: self.changed.set())
            while not stop.is_set():
                self.changed.clear()
                soonest = self._look(group)
                wait = None if math.isinf(soonest) else max(0.0, soonest - self.clock.monotonic())
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self.changed.wait()
            for watcher in watchers:
                watcher.cancel()

    async def halt(self) -> None:
        """Stops every bot and starts none any more; returns when none is left."""
        self._halting = True
        self._idle.clear()
        self.changed.set()
        await self._idle.wait()

    def specs(self) -> dict[str, BotSpec]:
        """The bots of the desired state, by id."""
        if self._halting or self.desired is None:
            return {}
        return {bot.id: bot for bot in self.desired.bots}

    def _look(self, group: asyncio.TaskGroup) -> float:
        """One look at every bot: begins the steps that are due and returns when the next one will be."""
        if self.desired is None and not self._halting:
            return math.inf
        specs = self.specs()
        for bot in [bot for bot in specs if bot not in self.holds]:
            slot = free_slot({hold.slot for hold in self.holds.values()})
            self.holds[bot] = Hold(bot=bot, slot=slot, since=self._at())
        soonest, now = math.inf, self.clock.monotonic()
        for hold in tuple(self.holds.values()):
            spec = specs.get(hold.bot)
            wanted = self._wants(spec, hold)
            step = decide(wanted, hold.actual(), gateway=self.instance, can_start=bool(self.image), now=now)
            soonest = min(soonest, step.look_again)
            if step.verb is not None:
                hold.busy = True
                group.create_task(self._carry_out(step.verb, hold, wanted))
            elif spec is None and not (hold.busy or hold.running or hold.leftover):
                del self.holds[hold.bot]
                self._wanted.pop(hold.bot, None)
            else:
                self._show_waiting(hold, wanted)
        if self._halting and not self.holds:
            self._idle.set()
        return soonest

    def _wants(self, spec: BotSpec | None, hold: Hold) -> Wanted | Trouble | None:
        if spec is None or spec.paused or self.desired is None:
            return None
        if isinstance(self.release, Trouble):
            return self.release
        # With hundreds of bots each look would cost milliseconds; the parts are compared by identity.
        parts = (spec, self.release, hold.door, hold.slot)
        kept = self._wanted.get(hold.bot)
        if kept is not None and all(old is new for old, new in zip(kept[0], parts, strict=True)):
            return kept[1]
        wanted: Wanted | Trouble
        door = door_spec(spec, self.release, slot=hold.slot, revision=self.desired.revision)
        if isinstance(door, Trouble):
            wanted = door
        else:
            shape = self._container(spec, self.release, hold).labels[LABEL_SHAPE]
            wanted = Wanted(bot=spec, shape=shape, door=settled(door, hold.door))
        self._wanted[hold.bot] = (parts, wanted)
        return wanted

    def _container(self, spec: BotSpec, release: Release, hold: Hold) -> ContainerSpec:
        return container_spec(
            spec, release, self.folders, slot=hold.slot, generation=hold.generation, memory_mib=self.memory_mib
        )

    def _show_waiting(self, hold: Hold, wanted: Wanted | Trouble | None) -> None:
        """A bot that cannot even be tried says why."""
        if hold.running is not None or hold.busy or wanted is None:
            return
        if isinstance(wanted, Trouble):
            if self.release_known:
                hold.becomes(trouble_state(wanted), wanted, self._at())
        elif self.image and not self.instance:
            hold.becomes(BotState.BACKING_OFF, Trouble.GATEWAY_DOWN, self._at())

    async def _carry_out(self, verb: Verb, hold: Hold, wanted: Wanted | Trouble | None) -> None:
        try:
            await self._do(verb, hold, wanted)
        except StepFailedError as failed:
            hold.findings = failed.findings or hold.findings
            self._failed(hold, verb, failed.trouble)
        except GatewayError:
            self._failed(hold, verb, Trouble.GATEWAY_DOWN)
        except OSError:
            self._failed(hold, verb, Trouble.DISK_FULL)
        except Exception as error:  # noqa: BLE001 - one bot's surprise must not end the others; type and place, no text
            sys.stderr.write(f"step failed: {place_of(error)}\n")
            self._failed(hold, verb, Trouble.ENGINE_FAILED)
        else:
            if verb not in {Verb.START, Verb.TICKET}:
                hold.chores = Backoff()
        finally:
            hold.busy = False
            if hold.running is not None and hold.running.id in self._ended:
                hold.died(self.clock.monotonic(), self.jitter(), self._at())
                self._say(Happening.DIED, hold)
                self._sweep.set()
            self.changed.set()

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

    async def _start(self, hold: Hold, wanted: Wanted) -> None:
        if isinstance(self.release, Trouble):
            return
        began = self.clock.monotonic()
        hold.restarts += 1 if hold.generation else 0
        # Grows across reboots without a file: the second of the start, or one more than the last.
        hold.generation = max(hold.generation + 1, int(self.clock.now().timestamp()))
        vault_was_down = hold.code in WITHOUT_TICKET
        if not vault_was_down:
            hold.becomes(BotState.STARTING, "", self._at())
        hold.leftover, hold.username = True, ""
        hold.door, hold.door_instance = wanted.door, self.instance
        started = await self.steps.start(
            Order(
                bot=hold.bot,
                generation=hold.generation,
                container=self._container(wanted.bot, self.release, hold),
                door=wanted.door,
                items=wanted.bot.items,
                ticket_first=vault_was_down,
            )
        )
        hold.runs(started.running)
        hold.began, hold.findings, hold.written = self.clock.monotonic(), started.findings, started.written
        hold.ticketed = dict(wanted.bot.items)
        hold.becomes(BotState.STARTING, "", self._at())
        self._say(Happening.STARTED, hold, milliseconds=int((hold.began - began) * 1000))

    async def _stop(self, hold: Hold) -> None:
        if hold.running is None:
            return
        await self.steps.stop(hold.running.name)
        hold.gone()
        hold.starts = Backoff()
        self._say(Happening.STOPPED, hold)

    async def _check(self, hold: Hold, wanted: Wanted) -> None:
        if hold.running is None or isinstance(self.release, Trouble):
            return
        try:
            read = await self.steps.check(self._container(wanted.bot, self.release, hold), hold.running)
        except StepFailedError:
            hold.gone()
            raise
        hold.findings, hold.checked = read.findings, True
        # Without a note of the start this moment is the best that is known.
        hold.written = hold.written or read.written

    async def _ticket(self, hold: Hold, wanted: Wanted) -> None:
        items = dict(wanted.bot.items)
        container = self._container(wanted.bot, self.release, hold) if isinstance(self.release, Release) else None
        if container is None:
            return
        ticketed = Ticketed(generation=hold.generation, items=items, written=hold.written)
        await self.steps.ticket(hold.bot, ticketed, container.user_outside)
        hold.ticketed = items
        if hold.code in WITHOUT_TICKET:
            hold.becomes(BotState.LIVE, "", self._at())
        self._say(Happening.TICKETED, hold)

    async def _open(self, hold: Hold, wanted: Wanted) -> None:
        instance = self.instance
        await self.steps.gateway.put(wanted.door)
        hold.door, hold.door_instance = wanted.door, instance

    async def _forget(self, hold: Hold) -> None:
        # A gateway that is down has no doors; one that comes back with some says so in its status.
        if self.instance:
            await self.steps.gateway.delete(hold.bot)
        self.steps.forget(hold.bot, door_folder(self.folders, hold.bot))
        hold.door, hold.door_instance, hold.leftover = None, "", False

    def _failed(self, hold: Hold, verb: Verb, trouble: Trouble) -> None:
        now, at = self.clock.monotonic(), self._at()
        match verb:
            case Verb.START | Verb.CHECK if hold.running is None:
                hold.starts = hold.starts.failed(now, self.jitter())
                hold.becomes(trouble_state(trouble), trouble, at)
            case Verb.TICKET:
                hold.tickets = hold.tickets.failed(now, self.jitter())
                hold.becomes(BotState.DEGRADED, trouble, at)
            case _:
                hold.chores = hold.chores.failed(now, self.jitter())
        if trouble is Trouble.IMAGE_MISSING:
            self.image = ""
        if trouble is Trouble.ENGINE_FAILED:
            self._sweep.set()
        self._say(trouble, hold)

    async def _hear_exits(self, group: asyncio.TaskGroup) -> None:
        async for ended in self.steps.engine.events():
            holds = self.holds.values()
            hold = next((one for one in holds if one.running is not None and one.running.id == ended.id), None)
            if hold is None or hold.busy:
                self._ended.append(ended.id)
                continue
            hold.died(self.clock.monotonic(), self.jitter(), self._at())
            self._say(Happening.DIED, hold)
            self.changed.set()
            # The next start has another name and need not wait for this.
            group.create_task(self._clear(ended.name))

    async def _clear(self, name: str) -> None:
        with suppress(StepFailedError):
            await self.steps.stop(name, 0)

    async def _sweep_up(self) -> None:
        """After an engine's failure: ends and removes what belongs to nobody."""
        while True:
            await self._sweep.wait()
            self._sweep.clear()
            with suppress(EngineError):
                for running in await self.steps.engine.list():
                    if not self._belongs(running):
                        await self._clear(running.name)

    def _belongs(self, running: Running) -> bool:
        hold = self.holds.get(bot_of(running))
        if hold is None or generation_of(running) != hold.generation:
            return False
        return hold.busy or (hold.running is not None and hold.running.id == running.id)

    async def _hear_gateway(self) -> None:
        """Follows one gateway after the other; a new instance gets every door again."""
        after, last = 0, ""
        while True:
            with suppress(GatewayError):
                status = await self.steps.gateway.status()
                after = after if status.instance == last else 0
                last = status.instance
                self._gateway_is(status)
                while True:
                    news = await self.steps.gateway.events(after, last)
                    if news.instance != last:
                        break
                    for one in news.events:
                        after = max(after, one.number)
                        if hold := self.holds.get(one.bot):
                            self._hear(hold, one.event)
                    self.changed.set()
                continue
            if self.instance:
                self.instance = ""
                self.log.write(NodeEvent(code=Trouble.GATEWAY_DOWN))
                self.changed.set()
            await asyncio.sleep(GATEWAY_RETRY_SECONDS)

    def _hear(self, hold: Hold, event: Event) -> None:
        if event.code is Code.OPENED:
            # A full disk is no reason to stop listening: the ticket is spent, and gone at the next one.
            with suppress(OSError):
                self.steps.spent(hold.bot, event.number, first_uid(hold.slot) + USER)
        hold.hears(event, self.clock.monotonic(), self.jitter(), self._at())

    def _gateway_is(self, status: GatewayStatus) -> None:
        if self.instance != status.instance:
            self.log.write(NodeEvent(code=Happening.GATEWAY))
        self.instance = status.instance
        for hold in self.holds.values():
            hold.chores = Backoff()
        for door in status.doors:
            if door.bot not in self.holds:
                slot = free_slot({hold.slot for hold in self.holds.values()})
                self.holds[door.bot] = Hold(bot=door.bot, slot=slot, leftover=True, since=self._at())
            self.holds[door.bot].leftover = True
        self.changed.set()

    def _say(self, code: Happening | Trouble, hold: Hold, *, milliseconds: int = 0) -> None:
        self.log.write(NodeEvent(code=code, number=hold.generation, milliseconds=milliseconds), bot=hold.bot)

    def _at(self) -> str:
        return stamp(self.clock.now())
