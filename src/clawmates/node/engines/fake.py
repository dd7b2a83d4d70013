"""An engine in memory, for tests of all that stands on the seam; it passes the contract of the real one."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.node.engines.base import (
    SCRATCH_TARGET,
    ContainerSpec,
    EngineError,
    Exited,
    ImageMissingError,
    NameTakenError,
    Running,
)
from clawmates.node.facts import CAPABILITIES, NAMESPACES, CgroupFacts, Facts, FolderFact, IdRange, MountFact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def facts_as_asked(spec: ContainerSpec) -> Facts:
    """What the kernel would say of a container that is exactly as sealed as ``spec`` asks."""
    user = spec.user_outside
    ids = (IdRange(inside=0, outside=spec.uid_first, count=spec.uid_count),)
    size = f"size={spec.scratch_bytes // 1024}k"
    binds = [_mount(100 + number, one.target, "ext4", "ro") for number, one in enumerate(spec.mounts)]
    return Facts(
        program_inside=True,
        folder_inside=True,
        uids=(user,) * 4,
        gids=(user,) * 4,
        groups=(user,),
        capabilities=dict.fromkeys(CAPABILITIES, 0),
        no_new_privileges=1,
        seccomp=2,
        forbidden_calls=(),
        umask="0077",
        uid_map=ids,
        gid_map=ids,
        namespaces={name: f"{name}:[2]" for name in NAMESPACES},
        host_namespaces={name: f"{name}:[1]" for name in NAMESPACES},
        mounts=(
            _mount(1, "/", "overlay", "ro"),
            _mount(2, SCRATCH_TARGET, "tmpfs", "rw,nosuid,nodev,noexec", size),
            _mount(3, "/proc", "proc", "rw,nosuid,nodev,noexec"),
            _mount(4, "/proc/kcore", "devtmpfs", "rw", root="/null"),
            _mount(5, "/proc/acpi", "tmpfs", "ro"),
            _mount(6, "/proc/sys", "proc", "ro", root="/sys"),
            *binds,
        ),
        folders={one.target: FolderFact(outside=f"0:9 {n}", inside=f"0:9 {n}") for n, one in enumerate(spec.mounts)},
        kernel_files=("/proc/kcore", "/proc/acpi", "/proc/sys"),
        host_devices={"/proc": "0:1", "/sys": "0:2"},
        interfaces=("lo",),
        limits={
            "Max core file size": ("0", "0"),
            "Max open files": (str(spec.open_files),) * 2,
            "Max processes": (str(spec.processes),) * 2,
            "Max msgqueue size": ("0", "0"),
        },
        cgroup=CgroupFacts(
            memory=spec.memory_bytes,
            memory_and_swap=spec.memory_bytes,
            pids=spec.pids,
            cpus=spec.cpus,
            oom_kills=True,
        ),
        oom_score=0,
        environment=("HOME", "HOSTNAME"),
        foreign_descriptors=(),
        output_kept=(),
        written=20_480,
        environ_owner=spec.uid_first,
    )


def _mount(number: int, point: str, kind: str, options: str, more: str = "rw", root: str = "/") -> MountFact:
    return MountFact(
        id=number,
        device=f"1:{number}",
        root=root,
        point=point,
        options=frozenset(options.split(",")),
        shared=False,
        kind=kind,
        super_options=frozenset(more.split(",")),
    )


@dataclass(slots=True)
class Machine:
    """What outlives an engine's process: images and containers. Two engines may share one."""

    images: set[str] = field(default_factory=set)
    containers: dict[str, Running] = field(default_factory=dict)
    specs: dict[str, ContainerSpec] = field(default_factory=dict)
    listeners: list[asyncio.Queue[Exited]] = field(default_factory=list)
    next_pid: int = 10_000


class FakeEngine:
    """Starts nothing. ``failing`` makes every ``start`` raise it; :meth:`kill` is a crash."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self.failing: EngineError | None = None
        self.started: list[ContainerSpec] = []
        self.stopped: list[str] = []
        self._told: set[str] = set()
        self._watched: set[str] = set()
        self._all: asyncio.Queue[Exited] = asyncio.Queue()
        self.machine.listeners.append(self._all)

    @property
    def version(self) -> str:
        """What ``status`` shows."""
        return "fake 1"

    async def has(self, image: str) -> bool:
        """Whether :meth:`load` or the test put it there."""
        return image in self.machine.images

    async def load(self, archive: Path) -> None:
        """The digest is that of the archive's bytes."""
        self.machine.images.add(await asyncio.to_thread(_digest, archive))

    async def start(self, spec: ContainerSpec) -> Running:
        """Adds a container to the machine."""
        if self.failing is not None:
            raise self.failing
        if spec.image not in self.machine.images:
            raise ImageMissingError
        if spec.name in self.machine.containers:
            raise NameTakenError
        self.machine.next_pid += 1
        running = Running(
            name=spec.name,
            id=hashlib.sha256(f"{spec.name} {self.machine.next_pid}".encode()).hexdigest(),
            image=spec.image,
            pid=self.machine.next_pid,
            labels=dict(spec.labels),
        )
        self.machine.containers[spec.name] = running
        self.machine.specs[spec.name] = spec
        self.started.append(spec)
        self._watched.add(running.id)
        return running

    async def stop(self, name: str, grace_seconds: int) -> None:
        """Removes the container."""
        del grace_seconds
        running = self.machine.containers.pop(name, None)
        self.machine.specs.pop(name, None)
        if running is not None:
            self.stopped.append(name)
            self._end(running)

    async def list(self) -> tuple[Running, ...]:
        """All containers of the machine."""
        found = tuple(self.machine.containers.values())
        self._watched.update(one.id for one in found if one.pid)
        return found

    async def events(self) -> AsyncIterator[Exited]:
        """The ends of those that this engine has started or listed."""
        while True:
            ended = await self._all.get()
            if ended.id in self._watched and ended.id not in self._told:
                self._told.add(ended.id)
                yield ended

    def kill(self, name: str) -> None:
        """A crash: the process ends, the container stays until it is removed."""
        running = self.machine.containers[name]
        self.machine.containers[name] = Running(
            name=running.name, id=running.id, image=running.image, pid=0, labels=running.labels
        )
        self._end(running)

    def _end(self, running: Running) -> None:
        for listener in self.machine.listeners:
            listener.put_nowait(Exited(name=running.name, id=running.id))


def _digest(archive: Path) -> str:
    try:
        return "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    except OSError:
        raise ImageMissingError("no such archive") from None
