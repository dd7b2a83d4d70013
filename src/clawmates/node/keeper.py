"""Keeps running what should run: looks at every bot, and has done what :mod:`clawmates.node.reconcile` decides."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.node import adopt
from clawmates.node.acts import Acts
from clawmates.node.ears import Ears
from clawmates.node.events import Happening, NodeEvent
from clawmates.node.gate import Gate, News
from clawmates.node.hold import Calm, Hold, trouble_state
from clawmates.node.host import Host
from clawmates.node.reconcile import Wanted, decide
from clawmates.node.spec import LABEL_SHAPE, door_spec, settled
from clawmates.wire.codes import Trouble
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.release import Release
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.leases import Renewal

GATE_SECONDS = 1.0
"""How often the bots are looked at while a release is tried, when nothing else happens."""


@dataclass(slots=True, kw_only=True)
class Keeper(Host):
    """The one who decides."""

    desired: DesiredState | None = None
    desired_trouble: Trouble | None = None
    gate: Gate = field(default_factory=Gate)
    settled: Callable[[News], None] = lambda _news: None
    """Told when the gate has decided something that must outlive node."""
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after every look: something may have changed."""
    release_known: bool = False
    """Whether the release has been looked at; until then nothing is said of it."""
    _halting: bool = False
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _wanted: dict[str, tuple[tuple[object, ...], Wanted | Trouble]] = field(default_factory=dict)
    _specs: tuple[DesiredState, dict[str, BotSpec]] | None = None
    _around: tuple[object, ...] = ()

    def wants(self, desired: DesiredState | Trouble) -> None:
        """A new desired state; an invalid one leaves the last good one in force."""
        if isinstance(desired, Trouble):
            self.desired_trouble = desired
            self.log.write(NodeEvent(code=desired))
        else:
            self.desired, self.desired_trouble = _as_before(desired, self.desired), None
            self.log.write(NodeEvent(code=Happening.DESIRED, number=desired.revision))
        self.changed.set()

    def may_run(self, release: Release | Trouble, image: str) -> None:
        """What the signed release is now, and the image the engine holds for it."""
        self.release, self.release_known = release, True
        if isinstance(release, Trouble):
            self.log.write(NodeEvent(code=release))
        else:
            self.images.add(image)
            self.log.write(NodeEvent(code=Happening.RELEASE, number=release.number))
            self._hear_of_release(self.gate.offer(release))
        self.changed.set()

    @property
    def lacking(self) -> tuple[Release, ...]:
        """Releases that bots are to run and whose image the engine does not hold."""
        wanted = (self.gate.good, self.gate.fresh, self.release if isinstance(self.release, Release) else None)
        return tuple(one for one in dict.fromkeys(wanted) if one is not None and one.image.config not in self.images)

    def _hear_of_release(self, news: News | None) -> None:
        match news:
            case News.TRIED if self.gate.fresh is not None:
                for hold in self.holds.values():
                    hold.lost.clear()  # what befell that image in earlier days is no part of this trial
                self.log.write(
                    NodeEvent(code=Happening.RELEASE_TRIED, number=self.gate.fresh.number), bot=self.gate.first
                )
            case News.GOOD if self.gate.good is not None:
                self.log.write(NodeEvent(code=Happening.RELEASE_GOOD, number=self.gate.good.number))
                self.settled(news)
            case News.REFUSED if self.gate.refused is not None:
                self.log.write(NodeEvent(code=Trouble.RELEASE_REFUSED, number=self.gate.refused.number))
                self.settled(news)
            case News.STOPPED if self.gate.fresh is not None and self.gate.stopped is not None:
                self.log.write(
                    NodeEvent(code=Trouble.RELEASE_STOPPED, number=self.gate.fresh.number), bot=self.gate.stopped.bot
                )
            case _:
                return

    def leased(self, renewal: Renewal) -> None:
        """What the vault says of the leases of these bots."""
        with suppress(OSError):  # A full tmpfs costs the memory of it after a restart, not the lease's end now.
            self.leases.learn(renewal)
        for lease in renewal.leases:
            hold = self.holds.get(lease.bot)
            if hold is not None and hold.hears_of_freeze(frozen=lease.frozen, at=self.at):
                self.say(Trouble.FROZEN, hold)
        self.changed.set()

    async def adopt(self) -> None:
        """Takes over what an earlier node left running, and clears away the rest. Raises ``EngineError``."""
        await adopt.adopt(self)

    async def keep(self, stop: asyncio.Event) -> None:
        """Closes the difference until ``stop``; steps under way are finished first, containers run on."""
        ears, acts = Ears(self), Acts(self)
        async with asyncio.TaskGroup() as group:
            parts = (ears.exits(group), ears.gateway(), ears.sweep_up(), ears.leases())
            watchers = [group.create_task(part) for part in parts]
            ending = group.create_task(stop.wait())
            ending.add_done_callback(lambda _: self.changed.set())
            while not stop.is_set():
                self.changed.clear()
                soonest = self._look(group, acts)
                self.looked.set()
                wait = None if math.isinf(soonest) else max(0.0, soonest - self.now)
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
        if self._specs is None or self._specs[0] is not self.desired:
            self._specs = (self.desired, {bot.id: bot for bot in self.desired.bots})
        return self._specs[1]

    def _look(self, group: asyncio.TaskGroup, acts: Acts) -> float:
        """One look at every bot: begins the steps that are due and returns when the next one will be."""
        if self.desired is None and not self._halting:
            return math.inf
        specs = self.specs()
        if newcomers := [bot for bot in specs if bot not in self.holds]:
            for bot, slot in zip(newcomers, self.free_slots(), strict=False):
                self.fresh_hold(bot, slot=slot)
        soonest = self._try_release(specs)
        around, now = self._what_is_around(), self.now
        for hold in tuple(self.holds.values()):
            spec, calm, until = specs.get(hold.bot), hold.calm, self.leases.ends(hold.bot)
            if calm is not None and calm.until < until:
                until = calm.until
            # With ten thousand bots this is all that most of them cost.
            if calm is None or calm.spec is not spec or calm.around is not around or until <= now:
                until = self._look_at(hold, spec, around, group, acts)
            soonest = min(soonest, until)
        if self._halting and not self.holds:
            self._idle.set()
        return soonest

    def _try_release(self, specs: Mapping[str, BotSpec]) -> float:
        """Lets the gate see the bots; returns when it wants to see them again."""
        fresh = self.gate.fresh
        if fresh is None or isinstance(self.release, Trouble):
            return math.inf
        should_run = [self.holds[bot] for bot, spec in specs.items() if not spec.paused]
        self._hear_of_release(self.gate.step([hold.seen(fresh, self.now) for hold in should_run]))
        return self.now + GATE_SECONDS if self.gate.fresh is not None else math.inf

    def _what_is_around(self) -> object:
        """The same object as long as nothing has changed that concerns more than one bot."""
        images = frozenset(self.images)
        around = (self.release, self.release_known, self.gate.good, images, self.instance, self._halting)
        if around != self._around or self.gate.fresh is not None:  # while a release is tried, who is next may change
            self._around = around
        return self._around

    def _look_at(self, hold: Hold, spec: BotSpec | None, around: object, group: asyncio.TaskGroup, acts: Acts) -> float:
        """Begins the step that is due for one bot, and returns when the next one will be."""
        now = self.now
        wanted = self._wants(spec, hold)
        can_start = isinstance(wanted, Wanted) and wanted.release.image.config in self.images
        step = decide(wanted, hold.actual(), gateway=self.instance, can_start=can_start, now=now)
        if step.verb is not None:
            hold.busy = True
            group.create_task(acts.carry_out(step.verb, hold, wanted))
        elif spec is None and not (hold.busy or hold.lives() or hold.leftover):
            del self.holds[hold.bot]
            self._wanted.pop(hold.bot, None)
            with suppress(OSError):
                self.leases.forget(hold.bot)
        else:
            self._show_waiting(hold, wanted)
            if hold.heir is None and wanted is not Trouble.LEASE_ENDED:  # of either the end is not for the hold to say
                hold.calm = Calm(spec, around, step.look_again)
        lease = self.leases.ends(hold.bot)
        return min(step.look_again, lease) if lease > now else step.look_again

    def _wants(self, spec: BotSpec | None, hold: Hold) -> Wanted | Trouble | None:
        if spec is None or spec.paused or self.desired is None:
            return None
        if self.leases.ends(hold.bot) <= self.now:
            return Trouble.LEASE_ENDED
        if isinstance(self.release, Trouble):
            return self.release
        release = self.gate.release_for(hold.bot) or self.release
        # With hundreds of bots each look would cost milliseconds; the parts are compared by identity.
        parts = (spec, release, hold.door, hold.slot)
        kept = self._wanted.get(hold.bot)
        if kept is not None and all(old is new for old, new in zip(kept[0], parts, strict=True)):
            return kept[1]
        wanted: Wanted | Trouble
        door = door_spec(spec, release, slot=hold.slot, revision=self.desired.revision)
        if isinstance(door, Trouble):
            wanted = door
        else:
            shape = self.container(spec, release, hold, hold.generation).labels[LABEL_SHAPE]
            wanted = Wanted(bot=spec, shape=shape, door=settled(door, hold.door), release=release)
        self._wanted[hold.bot] = (parts, wanted)
        return wanted

    def _show_waiting(self, hold: Hold, wanted: Wanted | Trouble | None) -> None:
        """A bot that cannot even be tried says why."""
        if hold.running is not None or hold.busy or wanted is None:
            return
        if isinstance(wanted, Trouble):
            if self.release_known:
                hold.becomes(trouble_state(wanted), wanted, self.at)
        elif wanted.release.image.config in self.images and not self.instance:
            hold.becomes(BotState.BACKING_OFF, Trouble.GATEWAY_DOWN, self.at)


def _as_before(desired: DesiredState, before: DesiredState | None) -> DesiredState:
    """The same wishes; who is wished for as before is the very same value, so that nobody looks at it anew."""
    known = {bot.id: bot for bot in before.bots} if before is not None else {}
    bots = tuple(known[bot.id] if known.get(bot.id) == bot else bot for bot in desired.bots)
    return replace(desired, bots=bots)
