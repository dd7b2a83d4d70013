"""What node knows of its host: shared by those who listen, decide and act."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock, stamp
from clawmates.base.eventlog import EventLog
from clawmates.base.paths import Run
from clawmates.node.events import Happening, NodeEvent
from clawmates.node.hold import Hold
from clawmates.node.leases import Leases
from clawmates.node.spec import SLOTS, container_spec
from clawmates.node.steps import Steps
from clawmates.wire.codes import Trouble
from clawmates.wire.release import Release

if TYPE_CHECKING:
    from clawmates.node.engines.base import ContainerSpec
    from clawmates.wire.desired import BotSpec

REMEMBERED_ENDS = 1024


@dataclass(slots=True, kw_only=True)
class Host:
    """All bots of one host. ``jitter`` gives numbers in [0, 1)."""

    steps: Steps
    folders: Run
    memory_mib: int
    clock: Clock
    jitter: Callable[[], float]
    log: EventLog
    release: Release | Trouble = Trouble.RELEASE_MISSING
    """The newest that was looked at; which bot runs which is the gate's to say."""
    images: set[str] = field(default_factory=set)
    """Config digests of signed images that the engine holds."""
    hosted: bool = False
    """Whether every bot here has a lease that ends: on a hosted platform."""
    instance: str = ""
    """The gateway that answers; empty when none does."""
    holds: dict[str, Hold] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    sweep: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine may have left something behind."""
    ended: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ENDS))
    """Ids of containers that have ended while nobody could be told."""
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases.open(self.folders.node.parent / "leases.json", finite=self.hosted)
        self.steps.leases = self.leases

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.clock.monotonic()

    @property
    def at(self) -> str:
        """The time, as it is shown."""
        return stamp(self.clock.now())

    def fresh_hold(self, bot: str, *, leftover: bool = False, slot: int = -1) -> Hold:
        """Begins to hold a bot, in that slot, or in the lowest that nobody has."""
        if slot < 0:
            slot = next(self.free_slots())
        hold = self.holds[bot] = Hold(bot=bot, slot=slot, leftover=leftover, since=self.at)
        return hold

    def free_slots(self) -> Iterator[int]:
        """The slots that nobody has now, lowest first; for many newcomers at once, who would each count everybody."""
        taken = {hold.slot for hold in self.holds.values()}
        return (slot for slot in range(SLOTS) if slot not in taken)

    def container(self, spec: BotSpec, release: Release, hold: Hold, generation: int) -> ContainerSpec:
        """The sealed container of one life of a bot."""
        return container_spec(
            spec, release, self.folders, slot=hold.slot, generation=generation, memory_mib=self.memory_mib
        )

    def notice(self, hold: Hold, container: str) -> bool:
        """A container of this bot has ended, by its id; false when it is none of those that count."""
        heir, now, at = hold.heir, self.now, self.at
        if heir is not None and heir.running.id == container:
            hold.loses_heir(now, self.jitter(), Trouble.NOT_REPLACED, at)
            self.say(Trouble.NOT_REPLACED, hold)
        elif hold.running is None or hold.running.id != container:
            return False
        elif heir is not None:
            # It has handed over, or it has died: its heir is told that it is alone either way.
            hold.gone()
        else:
            hold.died(now, self.jitter(), at)
            self.say(Happening.DIED, hold)
        return True

    def say(self, code: Happening | Trouble, hold: Hold, *, milliseconds: int = 0) -> None:
        """Writes down what has happened to a bot."""
        self.log.write(NodeEvent(code=code, number=hold.generation, milliseconds=milliseconds), bot=hold.bot)
