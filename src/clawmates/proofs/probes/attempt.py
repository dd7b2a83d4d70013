"""Runs every probe in a bot's container, and again in the weak controls, on the same host by the same engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.engines.base import BOOT_TARGET, DOOR_TARGET, ContainerSpec, EngineError, Mount, Running
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.proofs.errors import ProofError
from clawmates.proofs.probes.controls import COMMAND, WEAKENINGS, arguments
from clawmates.proofs.probes.entry import PROBES, Seen, read, visit
from clawmates.proofs.probes.inside import hog
from clawmates.proofs.probes.inside.frame import DONE, Control
from clawmates.proofs.probes.lacking import MAY_SHOW_NOTHING
from clawmates.proofs.probes.marks import Known, marks
from clawmates.selfhost.layout import unmount_below
from clawmates.wire.boot import BOOT_FILE
from clawmates.wire.status import Finding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.proofs.probes.inside.frame import Marks
    from clawmates.proofs.trial import Bench

DOOR_SOCKET = "door.sock"
READY_SECONDS = 10.0
QUIET_SECONDS = 15.0
LOOK_SECONDS = 0.1
"""A look reads the command lines of all processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The container that is tried, and what surrounds it."""

    files: PodmanFiles
    """The platform's engine."""
    runtime: str
    """As configured; empty for the engine's choice."""
    running: Running
    spec: ContainerSpec
    run: Path
    """The platform's runtime folder."""
    known: Known
    neighbour: ContainerSpec | None
    """Another bot's container, whose door a control gets."""
    judged: Callable[[int], Awaitable[tuple[Finding, ...]]]
    """Reads the walls of any process that is meant to be inside, from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """What came of it."""

    walls: tuple[Finding, ...]
    """Whether the process that tries stands behind the same walls as the mate."""
    sealed: Mapping[str, Seen]
    """Probe → what happened in the bot's own container."""
    controls: Mapping[str, Seen]
    """Probe → what happened in the control that it names; a probe whose control did not run is missing."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Control → why it did not run."""


async def attempt(site: Site, bench: Bench, *, controls: bool = True) -> Attempts:
    """Tries everything. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    word = f"prove-{bench.entropy(8).hex()}"
    async with _workshop() as folder, _outside(word) as witness:
        with marks(site.known, bench.entropy, witness=witness, word=word) as here:
            async with visit(site.files, site.running, folder, user=_user(site.spec)) as visitor:
                walls = await site.judged(visitor.pid)
                sealed = read(await visitor.run(here, PROBES))
            bench.progress("probes", len(sealed))
            seen, absent = await _controlled(site, folder, here) if controls else ({}, {})
    bench.progress("probes", len(seen))
    return Attempts(walls=walls, sealed=sealed, controls=seen, absent=absent)


@asynccontextmanager
async def hogged(site: Site) -> AsyncIterator[None]:
    """A hog in the bot's container. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    async with _workshop() as folder, visit(site.files, site.running, folder, user=_user(site.spec)) as visitor:
        await visitor.send(None, (), hog)
        if visitor.process.stdout is None or await visitor.process.stdout.readline() != b"running\n":
            raise ProofError("the hog does not start: try again")
        yield


async def _controlled(site: Site, folder: Path, here: Marks) -> tuple[dict[str, Seen], dict[str, str]]:
    """(probe → what happened, control → why it did not run)."""
    engines = await _engines(site, folder, here)
    seen: dict[str, Seen] = {}
    absent = {} if site.neighbour else {Control.NEIGHBOUR: "no other bot runs here"}
    # The one that takes all processors goes alone.
    for group in ([name for name in engines if name != Control.LIMITLESS], [Control.LIMITLESS]):
        trials = (_twice(site, engines[name], name, here, folder) for name in group)
        for name, one in zip(group, await asyncio.gather(*trials, return_exceptions=True), strict=True):
            match one:
                case dict():
                    seen |= one
                case EngineError() | ProofError():
                    absent[name] = f"it did not start: {type(one).__name__}"
                case _:
                    raise one
    return seen, absent


async def _twice(site: Site, engine: PodmanEngine, control: str, here: Marks, folder: Path) -> dict[str, Seen]:
    """What must succeed in the control and does not is tried once more: a busy host stops an attempt as well."""
    mine = [name for name, one in PROBES.items() if one.control == control]
    seen = await _in_control(site, engine, control, here, folder, mine)
    failed = [name for name in mine if name not in MAY_SHOW_NOTHING and not _succeeded(seen.get(name))]
    return seen | await _in_control(site, engine, control, here, folder, failed) if failed else seen


def _succeeded(seen: Seen | None) -> bool:
    return seen is not None and seen.outcome == DONE


def door_of(spec: ContainerSpec) -> Path:
    """A bot's door, on the host."""
    return next(mount.source for mount in spec.mounts if mount.target == DOOR_TARGET) / DOOR_SOCKET


def _user(spec: ContainerSpec) -> str:
    return f"{spec.user}:{spec.user}"


async def _in_control(
    site: Site, engine: PodmanEngine, control: str, here: Marks, folder: Path, names: list[str]
) -> dict[str, Seen]:
    spec = _control_spec(site, control, folder)
    running = await engine.start(spec)
    try:
        user = WEAKENINGS[control].user or _user(spec)
        async with visit(engine.files, running, folder, user=user, leak=control == Control.ROOT) as visitor:
            return read(await visitor.run(_marks_in(control, here, running), names))
    finally:
        await engine.stop(running.name, 0)


def _control_spec(site: Site, control: str, folder: Path) -> ContainerSpec:
    mounts = (
        Mount(source=folder / "door", target=DOOR_TARGET),
        Mount(source=folder / "boot", target=BOOT_TARGET),
    )
    base = replace(site.spec, name=f"control-{control}", labels={}, mounts=mounts, command=COMMAND)
    if control == Control.NEIGHBOUR and site.neighbour is not None:
        theirs = Mount(source=door_of(site.neighbour).parent, target=DOOR_TARGET)
        return replace(base, mounts=(theirs, mounts[1]), uid_first=site.neighbour.uid_first)
    return base


def _marks_in(control: str, here: Marks, running: Running) -> Marks:
    """Where a control finds things: with the host's processes its own first one has another number."""
    if control == Control.ROOT:
        return replace(here, target=running.pid)
    if control == Control.NEIGHBOUR:
        return replace(here, neighbour=f"{DOOR_TARGET}/{DOOR_SOCKET}")
    return here


@asynccontextmanager
async def _workshop() -> AsyncIterator[Path]:
    """A folder for a Podman storage beside the platform's, whose image it reads: node's containers stay node's."""
    folder = Path(tempfile.mkdtemp(prefix="clawmates-prove-", dir="/var/tmp"))
    try:
        for name, file in (("door", DOOR_SOCKET), ("boot", BOOT_FILE)):
            (folder / name).mkdir()
            (folder / name / file).touch()
        yield folder
    finally:
        await _quiet(folder)
        unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


async def _engines(site: Site, folder: Path, here: Marks) -> dict[str, PodmanEngine]:
    files = PodmanFiles(folder / "engine", folder / "engine-run")
    places = {"run": str(site.run), "outside": str(here.witness), "file": here.file}
    wanted = [name for name in WEAKENINGS if name != Control.NEIGHBOUR or site.neighbour is not None]
    try:
        first = await PodmanEngine.open(files, site.runtime)
        first.close()
        with files.storage_conf.open("a") as file:
            file.write(f'[storage.options]\nadditionalimagestores = ["{site.files.storage / "storage"}"]\n')
    except (EngineError, OSError):
        raise ProofError("the container engine cannot start a control: see `clawmates doctor`") from None
    return {name: PodmanEngine(files, "", arguments=arguments(name, places)) for name in wanted}


async def _quiet(folder: Path) -> None:
    """Waits for the engine's own clean-up after the last exits, which still writes into its storage."""
    mark = os.fsencode(folder)
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            while any(mark in line for line in _command_lines()):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(LOOK_SECONDS)


def _command_lines() -> list[bytes]:
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((one / "cmdline").read_bytes())
    return found


@asynccontextmanager
async def _outside(word: str) -> AsyncIterator[int]:
    """The network of the controls, and the witness; gives its process id."""
    async with AsyncExitStack() as stack:
        try:
            process = await asyncio.create_subprocess_exec(
                *("unshare", "--net", sys.executable, "-I", "-m", "clawmates.proofs.probes.outside", word),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={},
            )
        except OSError:
            raise ProofError("no network namespace can be made here: run this as root") from None
        stack.push_async_callback(process.wait)
        if process.stdin is None or process.stdout is None:
            raise ProofError("the control's network has no pipes")
        stack.callback(process.stdin.close)
        try:
            async with asyncio.timeout(READY_SECONDS):
                ready = await process.stdout.readline()
        except TimeoutError:
            ready = b""
        if ready != b"ready\n":
            raise ProofError("no network namespace can be made here: run this as root")
        yield process.pid
