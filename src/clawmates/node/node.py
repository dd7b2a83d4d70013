"""The node process: brings engine, release, desired state, gateway and vault together around the keeper."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from clawmates.base.clock import Clock
from clawmates.base.eventlog import EventLog
from clawmates.base.notify import ready
from clawmates.base.paths import State
from clawmates.base.settings import Settings, SettingsError
from clawmates.node.boot import BootFolders, in_memory
from clawmates.node.desired import DesiredFile, ReleaseFolder
from clawmates.node.engines.base import ContainerSpec, Engine, EngineError, Running
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.events import Happening, NodeEvent
from clawmates.node.facts import Facts, hardened, read_facts, read_memory
from clawmates.node.gate import News
from clawmates.node.gateway import GatewayControl
from clawmates.node.good import GoodRelease
from clawmates.node.hosted import Hosted
from clawmates.node.keeper import Keeper
from clawmates.node.release import check_archive
from clawmates.node.serving import serving
from clawmates.node.steps import Steps
from clawmates.node.tickets import TicketOffice
from clawmates.node.witness import Counterpart
from clawmates.wire.codes import Trouble
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.release import Release
from clawmates.wire.releases import ReleaseError
from clawmates.wire.revoked import read_revoked
from clawmates.wire.status import NodeStatus

LOOK_SECONDS = 0.1
"""How often the files are looked at; half of it is part of every cold start."""
ENGINE_RETRY_SECONDS = 5.0
IMAGE_RETRY_SECONDS = 10.0
VAULT_NAME = "vault-1"
"""The one vault of a region."""


class PrerequisiteError(Exception):
    """The machine lacks something that node does not run without."""


@dataclass(slots=True, kw_only=True)
class Node:
    """``open_engine`` raises :class:`EngineError`; it is tried until it works."""

    settings: Settings
    state: State
    clock: Clock
    jitter: Callable[[], float]
    log: EventLog
    gateway: GatewayControl
    vault: TicketOffice
    open_engine: Callable[[], Awaitable[Engine]]
    look: Callable[[ContainerSpec, Running], Facts] = lambda spec, running: read_facts(running.pid, spec.mounts)
    counterpart: Counterpart | None = None
    """Countersigns the vault's audit heads and renews leases; tests of other things go without."""
    hosted: Hosted | None = None
    """Control decides what runs; without it a file does."""
    keeper: Keeper | None = None
    engine_trouble: Trouble | None = None
    _halted: bool = False
    _release: Release | Trouble | None = None
    """``None`` until the first look."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until ``stop``; containers run on. Raises :class:`PrerequisiteError` or ``SettingsError``."""
        boot = self._boot_folders()
        async with serving(self.settings.run.node, status=self.status, halt=self.halt):
            self.log.write(NodeEvent(code=Happening.NODE_STARTED))
            ready()
            engine = await self._engine(stop)
            if engine is not None:
                await self._keep(engine, boot, stop)
        self.log.write(NodeEvent(code=Happening.NODE_STOPPED))

    def status(self) -> NodeStatus:
        """What the CLI shows."""
        keeper = self.keeper
        release = self._release
        troubles = (
            self.engine_trouble,
            release if isinstance(release, Trouble) else None,
            keeper.release if keeper and keeper.release_known and isinstance(keeper.release, Trouble) else None,
            keeper.desired_trouble if keeper else None,
            Trouble.AUDIT_DIVERGED if self.counterpart and self.counterpart.diverged else None,
            Trouble.RELEASE_REFUSED if self._is_refused(release, keeper) else None,
            Trouble.RELEASE_STOPPED if keeper and keeper.gate.stopped else None,
        )
        gate = keeper.gate if keeper is not None else None
        runs = self._runs()
        specs = {} if keeper is None else keeper.specs()
        holds = [] if keeper is None else sorted(keeper.holds.values(), key=lambda hold: hold.bot)
        return NodeStatus(
            revision=keeper.desired.revision if keeper and keeper.desired else 0,
            node=self.settings.node.name,
            region=self.settings.platform.region,
            engine=keeper.steps.engine.version if keeper else "",
            release=self._digest(),
            number=runs.number if runs is not None else 0,
            trying=gate.fresh.number if gate is not None and gate.fresh is not None else 0,
            tried_by=gate.first if gate is not None else "",
            stopped_by=gate.stopped.bot if gate is not None and gate.stopped is not None else "",
            stopped_code=gate.stopped.why if gate is not None and gate.stopped is not None else "",
            refused=gate.refused.number if gate is not None and gate.refused is not None else 0,
            trouble=next((trouble for trouble in troubles if trouble), "") if keeper else self.engine_trouble or "",
            gateway=bool(keeper and keeper.instance),
            unsafe=self.settings.unsafe,
            bots=tuple(
                hold.shown(specs.get(hold.bot), _memory(hold.running))
                for hold in holds
                if hold.bot in specs or hold.running is not None
            ),
        )

    def _runs(self) -> Release | None:
        """The release that bots run."""
        good = self.keeper.gate.good if self.keeper is not None else None
        return good or (self._release if isinstance(self._release, Release) else None)

    def _digest(self) -> str:
        runs = self._runs()
        return runs.image.digest if runs is not None else ""

    @staticmethod
    def _is_refused(release: Release | Trouble | None, keeper: Keeper | None) -> bool:
        """Whether what lies in the release folder is what did not come to life."""
        refused = keeper.gate.refused if keeper is not None else None
        return refused is not None and isinstance(release, Release) and release.image.config == refused.config

    async def halt(self) -> None:
        """Stops all bots."""
        self._halted = True
        if self.keeper is not None:
            await self.keeper.halt()

    def _vault_name(self, region: str) -> ServiceName:
        """At the first generation that still counts, so that no mate believes a revoked vault."""
        name = ServiceName(region, Role.VAULT, VAULT_NAME)
        try:
            return replace(name, generation=read_revoked(self.state.revoked).least.get(name.base, 0))
        except (OSError, ValueError):
            raise SettingsError(f"{self.state.revoked} cannot be read: restore it") from None

    def _boot_folders(self) -> BootFolders:
        run = self.settings.run
        run.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not in_memory(run.root.resolve(), Path("/proc/self/mountinfo").read_text()):
            raise PrerequisiteError(f"{run.root} is not in RAM: mount a tmpfs there (`clawmates up` does it as root)")
        extra = self.settings.node.unsafe_extra_ca
        return BootFolders(
            root=run.boot,
            notes=run.node.parent / "bots",
            authority=_read(self.state.authority, "the local authority's certificate"),
            extra_roots=_read(self.state.root / extra, "[node] unsafe_extra_ca") if extra else None,
        )

    async def _engine(self, stop: asyncio.Event) -> Engine | None:
        while not stop.is_set():
            try:
                engine = await self.open_engine()
            except EngineError as error:
                self._in_trouble(error.trouble)
            except OSError:
                self._in_trouble(Trouble.DISK_FULL)
            else:
                self.engine_trouble = None
                return engine
            await _wait(stop, ENGINE_RETRY_SECONDS)
        return None

    def _in_trouble(self, trouble: Trouble) -> None:
        if trouble is not self.engine_trouble:
            self.log.write(NodeEvent(code=trouble))
        self.engine_trouble = trouble

    async def _keep(self, engine: Engine, boot: BootFolders, stop: asyncio.Event) -> None:
        region = self.settings.platform.region
        keeper = Keeper(
            steps=Steps(
                engine=engine,
                gateway=self.gateway,
                vault=self.vault,
                boot=boot,
                look=self.look,
                clock=self.clock,
                region=region,
                vault_name=str(self._vault_name(region)),
                hardened=lambda spec, running: hardened(running.pid, spec.uid_first),
            ),
            folders=self.settings.run,
            memory_mib=self.settings.node.memory_mib,
            clock=self.clock,
            jitter=self.jitter,
            log=self.log,
            hosted=self.hosted is not None,
        )
        while not stop.is_set():
            try:
                await keeper.adopt()
                break
            except EngineError as error:
                self._in_trouble(error.trouble)
                await _wait(stop, ENGINE_RETRY_SECONDS)
        self.engine_trouble = None
        self.keeper = keeper
        async with asyncio.TaskGroup() as group:
            told = self._watch_desired(keeper) if self.hosted is None else self.hosted.serve(keeper, self._digest)
            parts = (told, self._watch_release(keeper), self.log.keep_short())
            watchers = [group.create_task(part) for part in parts]
            if self.counterpart is not None:
                self.counterpart.bots = lambda: tuple(bot for bot, spec in keeper.specs().items() if not spec.paused)
                self.counterpart.leased = keeper.leased
                watchers.append(group.create_task(self.counterpart.keep()))
            if self._halted:
                watchers.append(group.create_task(keeper.halt()))
            await keeper.keep(stop)
            for watcher in watchers:
                watcher.cancel()

    async def _watch_desired(self, keeper: Keeper) -> None:
        file = DesiredFile(self.state.desired)
        while True:
            fresh = file.look()
            if fresh is not None:
                keeper.wants(fresh)
            await asyncio.sleep(LOOK_SECONDS)

    async def _watch_release(self, keeper: Keeper) -> None:
        good = self._good
        keeper.gate.good, keeper.gate.refused = good.read(), good.refused()
        keeper.settled = lambda news: self._remember(keeper, news)
        folder = ReleaseFolder(self.state.release, self.settings.node.release_key)
        retry_at = 0.0
        while True:
            fresh = folder.look()
            if fresh is not None:
                self._release, retry_at = fresh, 0.0
                if isinstance(fresh, Trouble):
                    keeper.may_run(fresh, "")
                else:
                    await self._offer(keeper, fresh)
            elif keeper.release_known and keeper.lacking and self.clock.monotonic() >= retry_at:
                for release in keeper.lacking:
                    await self._load(keeper, release)
            elif isinstance(self._release, Release) and isinstance(keeper.release, Trouble):
                if self.clock.monotonic() >= retry_at:
                    await self._offer(keeper, self._release)
            else:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            retry_at = self.clock.monotonic() + IMAGE_RETRY_SECONDS
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _good(self) -> GoodRelease:
        return GoodRelease(self.state.good_release, self.settings.node.release_key)

    async def _offer(self, keeper: Keeper, release: Release) -> None:
        """A signed release: bots may run it as soon as its image is there."""
        trouble = await self._load(keeper, release)
        keeper.may_run(release if trouble is None else trouble, release.image.config)

    async def _load(self, keeper: Keeper, release: Release) -> Trouble | None:
        """Sees to it that the engine holds exactly the image that was signed; what is in the way."""
        engine, image = keeper.steps.engine, release.image
        if any(hold.running is not None and hold.running.image == image.config for hold in keeper.holds.values()):
            # What runs shows that it is there; on a full disk the engine could not even say so.
            keeper.images.add(image.config)
            keeper.changed.set()
            return None
        try:
            if not await engine.has(image.config):
                archive = await asyncio.to_thread(self._archive, release)
                await engine.load(archive)
            if await engine.has(image.config):
                keeper.images.add(image.config)
                keeper.changed.set()
                return None
        except EngineError as error:
            return error.trouble
        except ReleaseError:
            return Trouble.IMAGE_MISSING
        return Trouble.IMAGE_MISSING

    def _archive(self, release: Release) -> Path:
        """Where its image lies: the newest release in its own folder, the last good one in node's."""
        folder = self.state.good_release if release == self._good.read() else self.state.release
        return check_archive(folder, release.image)

    def _remember(self, keeper: Keeper, news: News) -> None:
        """What the gate has decided. A full disk costs a restarted node the knowledge of it, and nothing else."""
        with suppress(OSError):
            self._good.remember(keeper.gate.refused)
            if news is News.GOOD and keeper.gate.good is not None:
                self._good.keep(self.state.release, keeper.gate.good)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {what} ({path}): {error.strerror}") from None


def _memory(running: Running | None) -> int:
    return read_memory(running.pid, running.id) if running is not None else 0


def podman(settings: Settings, state: State) -> Callable[[], Awaitable[Engine]]:
    """Opens the platform's own Podman storage."""

    async def opened() -> Engine:
        return await PodmanEngine.open(PodmanFiles(state.engine, settings.run.engine), settings.node.runtime)

    return opened
