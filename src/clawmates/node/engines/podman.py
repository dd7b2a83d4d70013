"""Podman by its command line: no daemon, no service, nothing of the machine's own Podman touched."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.engines.base import (
    SCRATCH_TARGET,
    ContainerSpec,
    DiskFullError,
    EngineError,
    EngineMissingError,
    ImageMissingError,
    NameTakenError,
    NoUserNamespacesError,
    Running,
)
from clawmates.node.engines.exits import Exits
from clawmates.node.engines.lookups import Lookups
from clawmates.node.engines.oci import unpack
from clawmates.node.engines.removals import Removals
from clawmates.node.engines.runtime import SEARCH_PATH, choose_runtime, gives_user_namespaces, here_unified
from clawmates.node.turns import Turns, cores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from clawmates.node.engines.base import Exited
    from clawmates.node.engines.podman_files import PodmanFiles

COMMAND_SECONDS = 60.0
LOAD_SECONDS = 600.0
STARTS_A_CORE = 2
ENDS_A_CORE = 2
"""Each end is a Podman of its own: the monitor's, which clears up. Three hundred at once leave node no processor."""
PATIENCE_SECONDS = 1.0
"""Who has not ended by then is finishing an answer, which is no work of this host's, and keeps nobody else waiting."""
_LOOKED_UP = "{{.Name}} {{.Id}} {{.Image}} {{.State.Pid}}"

_SIGNS: tuple[tuple[bytes, type[EngineError]], ...] = (
    (b"no space left on device", DiskFullError),
    (b"disk quota exceeded", DiskFullError),
    (b"name is already in use", NameTakenError),
    (b"image not known", ImageMissingError),
    (b"no such image", ImageMissingError),
    (b"uid_map", NoUserNamespacesError),
    (b"user namespaces", NoUserNamespacesError),
    (b"executable file not found", EngineMissingError),
)


def run_arguments(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
    """``podman run``'s arguments (podman-run(1)); each one is a wall, and each has a test that misses it."""
    identity = f"0:{spec.uid_first}:{spec.uid_count}"
    return (
        "run",
        "--detach",
        f"--name={spec.name}",
        *(f"--label={key}={value}" for key, value in sorted(spec.labels.items())),
        f"--hostname={spec.hostname}",
        f"--user={spec.user}:{spec.user}",
        f"--uidmap={identity}",
        f"--gidmap={identity}",
        "--network=none",
        "--ipc=none",
        "--uts=private",
        "--cgroupns=private",
        "--read-only",
        "--read-only-tmpfs=false",
        f"--tmpfs={SCRATCH_TARGET}:rw,noexec,nosuid,nodev,mode=1777,size={spec.scratch_bytes}",
        # Podman mounts POSIX queues, writable for everyone, even with --ipc=none: cover them.
        "--tmpfs=/dev/mqueue:ro,noexec,nosuid,nodev,mode=0755,size=4096",
        *(f"--volume={mount.source}:{mount.target}:ro,rprivate" for mount in spec.mounts),
        f"--memory={spec.memory_bytes}",
        f"--memory-swap={spec.memory_bytes}",
        f"--pids-limit={spec.pids}",
        f"--cpus={spec.cpus}",
        f"--ulimit=nofile={spec.open_files}:{spec.open_files}",
        f"--ulimit=nproc={spec.processes}:{spec.processes}",
        "--ulimit=core=0:0",
        "--ulimit=msgqueue=0:0",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        f"--security-opt=seccomp={seccomp}",
        "--umask=0077",
        "--unsetenv-all",
        "--http-proxy=false",
        "--no-hosts",
        "--passwd=false",
        "--image-volume=ignore",
        "--sdnotify=ignore",
        "--systemd=false",
        "--restart=no",
        "--log-driver=none",
        "--pull=never",
        spec.image,
        *spec.command,
    )


class PodmanEngine:
    """One Podman storage of our own. ``arguments`` is replaced only by tests that weaken it."""

    def __init__(
        self,
        files: PodmanFiles,
        version: str,
        *,
        arguments: Callable[[ContainerSpec, Path], tuple[str, ...]] = run_arguments,
    ) -> None:
        self.files = files
        self._version = version
        self._arguments = arguments
        self._exits = Exits()
        self._starts = Turns(STARTS_A_CORE * cores())
        self._ends = Turns(ENDS_A_CORE * cores(), PATIENCE_SECONDS)
        self._lookups = Lookups(lambda names: self._podman("container", "inspect", f"--format={_LOOKED_UP}", *names))
        self._removals = Removals(lambda names: self._podman("rm", "--force", "--ignore", "--time=0", *names))

    @classmethod
    async def open(
        cls,
        files: PodmanFiles,
        runtime: str = "",
        *,
        arguments: Callable[[ContainerSpec, Path], tuple[str, ...]] = run_arguments,
    ) -> PodmanEngine:
        """Chooses the runtime and writes the engine's files. Raises :class:`EngineError` or ``OSError``."""
        if shutil.which("podman", path=SEARCH_PATH) is None:
            raise EngineMissingError("no podman")
        program = choose_runtime(runtime, unified=here_unified())
        files.write(program)
        engine = cls(files, "", arguments=arguments)
        said = (await engine._podman("--version")).decode().split()
        engine._version = f"podman {said[-1] if said else '?'}, {program.name}"
        return engine

    @property
    def version(self) -> str:
        """``podman 4.3.1, runc``."""
        return self._version

    async def has(self, image: str) -> bool:
        """Whether the image with this config digest is in our storage, and was written to the end."""
        return await self._lists(image) and self.files.marker(image).exists()

    async def load(self, archive: Path) -> None:
        """Takes an OCI archive in; the layers' digests are checked by Podman while it copies.

        Unpacked by us, because Podman unpacks an archive into the machine's own /var/tmp, whatever TMPDIR says (4.3).
        """
        with tempfile.TemporaryDirectory(dir=self.files.scratch) as folder:
            image = await asyncio.to_thread(unpack, archive, Path(folder, "mate"))
            if await self._lists(image):
                # Of a load that was cut short. Podman would take its layers for whole.
                await self._podman("rmi", "--force", image.removeprefix("sha256:"))
            # Podman calls the image as the path says, and not every path is a name.
            await self._podman("pull", "--quiet", "oci:mate", folder=Path(folder), seconds=LOAD_SECONDS)
        try:
            await asyncio.to_thread(self.files.flush, image)
        except OSError:
            raise DiskFullError("cannot be written to the end") from None

    async def _lists(self, image: str) -> bool:
        return image.encode() in (await self._podman("images", "--all", "--no-trunc", "--quiet")).split()

    async def start(self, spec: ContainerSpec) -> Running:
        """Starts a container; at most :data:`STARTS_A_CORE` at a time."""
        async with self._starts.turn():
            try:
                await self._podman(*self._arguments(spec, self.files.seccomp))
                container, image, pid = await self._lookups.find(spec.name)
            except NameTakenError:
                raise
            except (EngineError, ValueError) as error:
                await self._removals.remove(spec.name)
                raise error if isinstance(error, EngineError) else EngineError("unreadable answer") from None
        running = Running(
            name=spec.name,
            id=container,
            image="sha256:" + image.removeprefix("sha256:"),
            pid=int(pid),
            labels=dict(spec.labels),
        )
        self._exits.watch(running)
        return running

    async def stop(self, name: str, grace_seconds: int) -> None:
        """Ends and removes a container; at most :data:`ENDS_A_CORE` at a time, where they are given a grace."""
        if grace_seconds:
            async with self._ends.turn():
                await self._end(name, grace_seconds)
        await self._removals.remove(name)

    async def _end(self, name: str, grace_seconds: int) -> None:
        if await self._exits.terminate(name, grace_seconds):
            return
        # Not one that is watched, or deaf to it: Podman's own SIGTERM and SIGKILL. What it cannot, removing can.
        with suppress(EngineError):
            command = ("stop", "--ignore", f"--time={grace_seconds}", name)
            await self._podman(*command, seconds=COMMAND_SECONDS + grace_seconds)

    async def list(self) -> tuple[Running, ...]:
        """All containers in our storage."""
        try:
            entries = json.loads(await self._podman("ps", "--all", "--format=json"))
            found = tuple(_running(entry) for entry in entries)
        except (ValueError, KeyError, TypeError, IndexError):
            raise EngineError("unreadable answer") from None
        for running in found:
            if running.pid:
                self._exits.watch(running)
        return found

    def events(self) -> AsyncIterator[Exited]:
        """The ends of watched containers."""
        return self._exits.events()

    def close(self) -> None:
        """Stops watching; the containers run on."""
        self._exits.close()

    async def _podman(self, *arguments: str, folder: Path | None = None, seconds: float = COMMAND_SECONDS) -> bytes:
        """What it says on stdout. Raises :class:`EngineError`; its complaint goes to our stderr, one line."""
        try:
            process = await asyncio.create_subprocess_exec(
                "podman",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self.files.environment,
                cwd=folder or self.files.storage,
            )
        except OSError:
            raise EngineMissingError("podman cannot be run") from None
        try:
            async with asyncio.timeout(seconds):
                said, complaint = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise EngineError("podman did not answer") from None
        if process.returncode == 0:
            return said
        failure = _failure(complaint)
        if isinstance(failure, DiskFullError) and not await gives_user_namespaces():
            # ENOSPC is also what the kernel says when there may be no more user namespaces (user_namespaces(7)).
            raise NoUserNamespacesError
        raise failure


def _failure(complaint: bytes) -> EngineError:
    # Nothing secret is ever given to the engine, so its complaint can hold nothing secret.
    last = complaint.strip().splitlines()[-1:] or [b"no reason given"]
    shown = "".join(char for char in last[0].decode(errors="replace")[:300] if char.isprintable())
    sys.stderr.write(f"podman: {shown}\n")
    low = complaint.lower()
    for sign, kind in _SIGNS:
        if sign in low:
            return kind()
    return EngineError()


def _running(entry: object) -> Running:
    """One entry of ``podman ps --format=json``."""
    if not isinstance(entry, dict):
        raise TypeError
    labels = entry["Labels"] or {}
    return Running(
        name=str(entry["Names"][0]),
        id=str(entry["Id"]),
        image="sha256:" + str(entry["ImageID"]).removeprefix("sha256:"),
        pid=int(entry["Pid"]) if entry["State"] == "running" else 0,
        labels={str(key): str(value) for key, value in labels.items()},
    )
