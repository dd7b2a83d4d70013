"""The release image in a Podman storage of the tests' own, and specs for containers of it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawmates.base.clock import SystemClock
from clawmates.base.paths import Run
from clawmates.base.shape import decode_json
from clawmates.node.boot import BootFolders
from clawmates.node.engines.base import BOOT_TARGET, DOOR_TARGET, ContainerSpec, Mount
from clawmates.node.engines.podman import PodmanEngine, run_arguments
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.facts import hardened, read_facts
from clawmates.node.gateway import FakeGateway
from clawmates.node.spec import container_spec, door_spec
from clawmates.node.steps import Order, Steps
from clawmates.node.tickets import FakeVault
from clawmates.wire.desired import BotSpec
from clawmates.wire.door import DoorSpec
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Release

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from clawmates.node.engines.base import Engine

ROOT = Path(__file__).resolve().parents[2]
IN_MEMORY = Path("/dev/shm")

SEALED = (
    "/usr/bin/python3",
    "-I",
    "-c",
    (
        "import ctypes, os, signal\n"
        "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
        "while True: signal.pause()"
    ),
)
"""A program that makes itself not dumpable, as a mate does first thing, and ends on SIGTERM."""
STUBBORN = ("/usr/bin/python3", "-I", "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()")
SHORT = ("/usr/bin/python3", "-I", "-c", "pass")


@cache
def release_folder() -> Path:
    """The signed release, built (or found to be up to date) by the same command that ``make image`` calls."""
    subprocess.run([sys.executable, str(ROOT / "image" / "build")], check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build" / "release"


@dataclass(frozen=True)
class Rig:
    """Folders of one throw-away host: ``disk`` and ``ram``, the signed release, its key."""

    disk: Path
    ram: Path
    release: Path
    key: str

    @property
    def files(self) -> PodmanFiles:
        return PodmanFiles(self.disk / "engine", self.ram / "engine")

    @property
    def image(self) -> str:
        return decode_json(Release, (self.release / "release.json").read_bytes()).image.config

    def spec(self, name: str, command: tuple[str, ...] = SEALED, *, slot: int = 0) -> ContainerSpec:
        for folder in ("door", "boot"):
            (self.ram / folder).mkdir(exist_ok=True)
        return ContainerSpec(
            name=name,
            image=self.image,
            labels={"clawmates.bot": name, "clawmates.slot": str(slot)},
            uid_first=1_000_000_000 + slot * 1024,
            uid_count=1024,
            user=1000,
            hostname="mate",
            mounts=(
                Mount(source=self.ram / "door", target=DOOR_TARGET),
                Mount(source=self.ram / "boot", target=BOOT_TARGET),
            ),
            memory_bytes=128 << 20,
            scratch_bytes=16 << 20,
            pids=32,
            cpus=1.0,
            open_files=1024,
            processes=64,
            command=command,
        )


@contextmanager
def rig() -> Iterator[Rig]:
    """A host whose folders go at the end; the release is a copy, so that a rebuild beside the tests is harmless."""
    with (
        tempfile.TemporaryDirectory(prefix="cm-") as disk,
        tempfile.TemporaryDirectory(prefix="cm-", dir=IN_MEMORY) as ram,
    ):
        release = Path(disk) / "release"
        shutil.copytree(release_folder(), release)
        yield Rig(Path(disk), Path(ram), release, (release / "release.pub").read_text().strip())


@asynccontextmanager
async def podman(
    rig: Rig, arguments: Callable[[ContainerSpec, Path], tuple[str, ...]] = run_arguments
) -> AsyncIterator[PodmanEngine]:
    """An engine with the image; every container of the rig is gone afterwards."""
    engine = await PodmanEngine.open(rig.files, arguments=arguments)
    try:
        if not await engine.has(rig.image):
            await engine.load(rig.release / "mate.oci.tar")
        yield engine
    finally:
        for running in await engine.list():
            await engine.stop(running.name, 0)
        engine.close()
        await quiet(rig)


async def quiet(rig: Rig) -> None:
    """Waits for the engine's own clean-up after the last exits, which still writes into its storage."""
    storage = str(rig.files.storage).encode()
    async with asyncio.timeout(60):
        while any(storage in line for line in _command_lines()):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.1)


def _command_lines() -> Iterator[bytes]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (folder / "cmdline").read_bytes()


class FolderGateway(FakeGateway):
    """Makes and removes the bots' folders as the real one does."""

    def __init__(self, run: Run) -> None:
        super().__init__(now=datetime(2026, 11, 22, tzinfo=UTC))
        self.doors_folder = run.doors

    async def put(self, spec: DoorSpec) -> None:
        await super().put(spec)
        (self.doors_folder / spec.bot).mkdir(parents=True, exist_ok=True)

    async def delete(self, bot: str) -> None:
        await super().delete(bot)
        with suppress(FileNotFoundError):
            (self.doors_folder / bot).rmdir()


def bot(name: str = "anna", **changes: Any) -> BotSpec:
    """A bot whose provider and model every release's catalogue has."""
    fields: dict[str, Any] = {
        "id": name,
        "tenant": "home",
        "channel": ChannelKind.TELEGRAM,
        "provider": "openai",
        "model": "gpt-5.4-nano",
        "items": {ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 1},
    }
    return BotSpec(**(fields | changes))


def steps(host: Rig, engine: Engine) -> Steps:
    """Steps with everything real but gateway and vault."""
    run = Run(host.ram)
    return Steps(
        engine=engine,
        gateway=FolderGateway(run),
        vault=FakeVault(),
        boot=BootFolders(run.boot, run.node.parent / "bots", b"authority", None),
        look=lambda spec, running: read_facts(running.pid, spec.mounts),
        hardened=lambda spec, running: hardened(running.pid, spec.uid_first),
        clock=SystemClock(),
        region="local",
        vault_name="clawmates://local/vault/vault-1",
        settle_seconds=0.05,
    )


def order(host: Rig, command: tuple[str, ...] = SEALED, *, generation: int = 1, slot: int = 0) -> Order:
    """The order to start :func:`bot` from the release, with another program in it."""
    release = decode_json(Release, (host.release / "release.json").read_bytes())
    container = container_spec(bot(), release, Run(host.ram), slot=slot, generation=generation, memory_mib=128)
    door = door_spec(bot(), release, slot=slot, revision=1)
    assert isinstance(door, DoorSpec)
    return Order(
        bot="anna",
        generation=generation,
        container=replace(container, command=command),
        door=door,
        items=bot().items,
        ticket_first=False,
    )
