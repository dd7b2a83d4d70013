"""A keeper of bots among fakes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.engines import FolderGateway, bot
from tests.support.node import IMAGE, HandClock, release

from clawmates.base.eventlog import EventLog
from clawmates.base.paths import Run
from clawmates.node.boot import BootFolders
from clawmates.node.engines.fake import FakeEngine, Machine, facts_as_asked
from clawmates.node.keeper import Keeper
from clawmates.node.leases import Renewal
from clawmates.node.steps import Steps
from clawmates.node.tickets import FakeVault
from clawmates.wire.boot import BOOT_FILE, Boot
from clawmates.wire.codes import Code, Event
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.gatewayctl import LEASE_GRACE_SECONDS
from clawmates.wire.leases import Lease
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.node.facts import Facts
    from clawmates.node.hold import Hold


@dataclass
class World:
    """A keeper among fakes; ``weak`` names containers whose kernel tells of a missing wall."""

    folder: Path
    machine: Machine = field(default_factory=lambda: Machine(images={IMAGE}))
    clock: HandClock = field(default_factory=HandClock)
    vault: FakeVault = field(default_factory=FakeVault)
    weak: bool = False
    written: int = 20_480
    revision: int = 0
    hosted: bool = False

    def __post_init__(self) -> None:
        self.run = Run(self.folder)
        self.gateway = FolderGateway(self.run)
        self.engine = FakeEngine(self.machine)
        self.keeper = self._keeper()

    def _keeper(self) -> Keeper:
        (self.folder / "log").mkdir(exist_ok=True)
        return Keeper(
            steps=Steps(
                engine=self.engine,
                gateway=self.gateway,
                vault=self.vault,
                boot=BootFolders(self.run.boot, self.run.node.parent / "bots", b"authority", None),
                look=self._look,
                clock=self.clock,
                region="local",
                vault_name="clawmates://local/vault/vault-1",
                settle_seconds=-1.0,
            ),
            folders=self.run,
            memory_mib=128,
            clock=self.clock,
            jitter=lambda: 1.0,
            log=EventLog(self.folder / "log", "node", self.clock),
            hosted=self.hosted,
        )

    def open_door(self, name: str = "anna") -> bool:
        """Whether the gateway lets this bot's container do anything by now."""
        until = self.gateway.until.get(name)
        return name in self.gateway.doors and (until is None or self.clock.seconds < until + LEASE_GRACE_SECONDS)

    def _look(self, spec: ContainerSpec, running: Running) -> Facts:
        facts = replace(facts_as_asked(spec), written=self.written)
        return replace(facts, seccomp=0) if self.weak else facts

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Keeper]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.keep(stop))
            try:
                yield self.keeper
            finally:
                stop.set()

    def node_restarts(self) -> None:
        self.engine = FakeEngine(self.machine)
        self.keeper = self._keeper()

    def want(self, *bots: BotSpec) -> None:
        self.revision += 1
        self.keeper.wants(DesiredState(revision=self.revision, bots=bots))

    def may_run(self, config: str = IMAGE, number: int = 1) -> None:
        """A signed release appears, and its image is there."""
        self.machine.images.add(config)
        self.keeper.may_run(release(config=config, number=number), config)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - the condition is about values, which set no event
                await asyncio.sleep(0)

    async def rest(self) -> None:
        """Until nobody has anything to do, or every ready task has had many turns."""
        loop = asyncio.get_running_loop()
        for _ in range(200):
            await asyncio.sleep(0)
            # asyncio has no public word for it; 200 turns each time took a fifth of the moves' tests.
            if not loop._ready:  # type: ignore[attr-defined]
                return

    async def after(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.keeper.changed.set()
        await self.rest()

    def renewed(self, *leases: Lease, bots: tuple[str, ...] = ("anna",)) -> None:
        """The vault was asked now, and answered with these."""
        self.keeper.leased(Renewal(bots=bots, leases=leases, asked_at=self.clock.seconds))

    def hold(self, name: str = "anna") -> Hold:
        return self.keeper.holds[name]

    def boot(self, name: str = "anna") -> dict[str, object]:
        newest = max((self.run.boot / name).iterdir(), key=lambda folder: int(folder.name))
        loaded: dict[str, object] = json.loads((newest / BOOT_FILE).read_bytes())
        return loaded

    def opened(self, name: str = "anna") -> Event:
        """What a mate says once it has redeemed the ticket that lies in its folder now."""
        boot = self.keeper.steps.boot.read(name, self.hold(name).generation)
        assert isinstance(boot, Boot)
        return Event(code=Code.OPENED, number=boot.mark)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for path in (self.folder / "log").iterdir() for line in path.read_text().splitlines()]

    def kill(self, generation: int, name: str = "anna") -> None:
        """One life of a bot ends, whyever."""
        self.engine.kill(f"mate-{name}-{generation}")

    def says(self, code: Code, generation: int, name: str = "anna") -> None:
        """One life of a bot says something."""
        self.gateway.say(name, Event(code=code, life=generation))

    async def beside(self, name: str = "anna") -> int:
        """Waits for the next life of a bot beside the one that runs; its generation."""
        await self.until(lambda: self.hold(name).heir is not None and not self.hold(name).busy)
        heir = self.hold(name).heir
        assert heir is not None
        return heir.generation

    async def handed_over(self, name: str = "anna") -> int:
        """The next life comes, is ready, and the one before it hands over and ends; the new generation."""
        before, after = self.hold(name).generation, await self.beside(name)
        self.says(Code.READY, after, name)
        self.kill(before, name)
        await self.until(lambda: self.hold(name).generation == after)
        self.says(Code.LIVE, after, name)
        await self.until(lambda: self.hold(name).live_at is not None)
        return after

    async def fails(self, name: str = "anna", code: Code | None = None) -> int:
        """The next life of a bot comes, maybe complains, and dies; its generation."""
        after = await self.beside(name)
        if code is not None:
            self.says(code, after, name)
            await self.rest()
        self.kill(after, name)

        def gone() -> bool:
            heir = self.hold(name).heir
            return heir is None or heir.generation > after

        await self.until(gone)
        return after

    async def running(self, *bots: BotSpec) -> None:
        """Brings bots to life."""
        self.may_run()
        self.want(*(bots or (bot(),)))
        names = [one.id for one in bots] or ["anna"]
        await self.until(lambda: all(n in self.keeper.holds and self.hold(n).ticketed is not None for n in names))
        for name in names:
            self.gateway.say(name, Event(code=Code.LIVE, username="some_bot"))
        await self.until(lambda: all(self.hold(n).state is BotState.LIVE for n in names))
