"""The seam between node and whatever runs containers: few verbs, frozen values, a small tree of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from clawmates.wire.codes import Trouble

DOOR_TARGET = "/run/door"
BOOT_TARGET = "/run/boot"
SCRATCH_TARGET = "/tmp"  # noqa: S108 - inside the container, where it is a tmpfs of its own


class EngineError(Exception):
    """The engine refused or failed. ``args`` hold nothing that a container said."""

    trouble: ClassVar[Trouble] = Trouble.ENGINE_FAILED


class EngineMissingError(EngineError):
    """The engine or its runtime is not installed."""

    trouble = Trouble.ENGINE_MISSING


class NoUserNamespacesError(EngineError):
    """The kernel gives the container no user namespace of its own."""

    trouble = Trouble.NO_USER_NAMESPACES


class ImageMissingError(EngineError):
    """The engine does not hold the image that was asked for."""

    trouble = Trouble.IMAGE_MISSING


class DiskFullError(EngineError):
    """The engine ran out of disk."""

    trouble = Trouble.DISK_FULL


class NameTakenError(EngineError):
    """A container of that name exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One read-only bind of a host folder. There is no other kind."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One sealed container, as asked for; :mod:`clawmates.node.isolation` judges what came of it.

    Nothing here may be secret: an engine keeps all of it in files.
    """

    name: str
    image: str
    """The config digest, ``sha256:…``: the only name an image has here."""
    labels: Mapping[str, str] = field(default_factory=dict)
    uid_first: int
    """The host's uid and gid that are 0 inside."""
    uid_count: int
    user: int
    """uid and gid inside."""
    hostname: str
    mounts: tuple[Mount, ...]
    memory_bytes: int
    """Memory, and memory plus swap."""
    scratch_bytes: int
    """The size of the one writable place, ``/tmp``."""
    pids: int
    cpus: float
    open_files: int
    processes: int
    command: tuple[str, ...] = ()
    """Empty for the image's own."""

    @property
    def user_outside(self) -> int:
        """The host's uid and gid of the program."""
        return self.uid_first + self.user


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A container as the engine knows it."""

    name: str
    id: str
    image: str
    """The config digest that it was really started from."""
    pid: int
    """Of its first process, on the host; 0 when it does not run."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A container's first process has ended."""

    name: str
    id: str


class Engine(Protocol):
    """What node asks of an engine; ``tests/contract/test_engines.py`` says how each verb behaves."""

    @property
    def version(self) -> str:
        """Name, version and runtime, for ``status``."""
        ...

    async def has(self, image: str) -> bool:
        """Whether a container can be started from this config digest. Raises :class:`EngineError`."""
        ...

    async def load(self, archive: Path) -> None:
        """Takes an OCI archive in. Raises :class:`EngineError`."""
        ...

    async def start(self, spec: ContainerSpec) -> Running:
        """Starts a container and watches it. Raises :class:`EngineError`; nothing is left behind then."""
        ...

    async def stop(self, name: str, grace_seconds: int) -> None:
        """SIGTERM, SIGKILL after the grace, remove; no container of that name is no error."""
        ...

    async def list(self) -> tuple[Running, ...]:
        """All containers, running or not; those that run are watched from here on. Raises :class:`EngineError`."""
        ...

    def events(self) -> AsyncIterator[Exited]:
        """Each watched container's end, once, within milliseconds. For one consumer."""
        ...
