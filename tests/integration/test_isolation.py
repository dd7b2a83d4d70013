"""Each wall of a mate's container, taken away one at a time in a real engine: the read-back must miss it."""

from __future__ import annotations

import asyncio
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.support.engines import SEALED, Rig, order, podman, rig, steps

from clawmates.base.paths import Run
from clawmates.node.engines.podman import run_arguments
from clawmates.node.engines.podman_files import SECCOMP_SOURCE
from clawmates.node.isolation import sound
from clawmates.node.steps import StepFailedError
from clawmates.wire.boot import BOOT_FILE
from clawmates.wire.codes import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clawmates.node.engines.base import ContainerSpec
    from clawmates.node.engines.podman import PodmanEngine

SOFT = ("/usr/bin/python3", "-I", "-c", "import signal; signal.pause()")
"""A program that forgets to harden itself."""


@dataclass(frozen=True)
class Weak:
    """``drop`` removes arguments that start so, ``swap`` replaces text in them, ``add`` puts new ones first."""

    name: str
    noticed: str
    drop: tuple[str, ...] = ()
    swap: tuple[str, str] = ("", "")
    add: tuple[str, ...] = ()

    def arguments(self, spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        kept = [one for one in run_arguments(spec, seccomp) if not (self.drop and one.startswith(self.drop))]
        if self.swap[0]:
            assert any(self.swap[0] in one for one in kept), "this weakening no longer weakens anything"
            kept = [one.replace(*self.swap) for one in kept]
        assert len(kept) < len(run_arguments(spec, seccomp)) or self.swap[0] or self.add
        return (kept[0], *self.add, *kept[1:])


WEAKENINGS = (
    Weak("the host's network", "network", swap=("--network=none", "--network=host")),
    Weak("the host's IPC", "namespace ipc", swap=("--ipc=none", "--ipc=host")),
    Weak("shared memory", "other mounts", swap=("--ipc=none", "--ipc=private")),
    Weak("the host's processes", "namespace pid", add=("--pid=host",)),
    Weak("the host's name", "namespace uts", drop=("--hostname",), swap=("--uts=private", "--uts=host")),
    Weak("the host's cgroups", "namespace cgroup", swap=("--cgroupns=private", "--cgroupns=host")),
    Weak("no user namespace", "namespace user", drop=("--uidmap", "--gidmap")),
    Weak("a larger uid map", "uid map", swap=(":1024", ":2048")),
    Weak("root inside", "user", swap=("--user=1000:1000", "--user=0:0")),
    Weak("root's group", "group", swap=("--user=1000:1000", "--user=1000:0")),
    Weak("one more group", "group", add=("--group-add=7",)),
    Weak("a capability", "capabilities CapBnd", add=("--cap-add=NET_RAW",)),
    Weak("the engine's own capabilities", "capabilities CapBnd", drop=("--cap-drop",)),
    Weak(
        "no seccomp",
        "seccomp",
        drop=("--security-opt=seccomp",),
        add=("--security-opt=seccomp=unconfined",),
    ),
    Weak("new privileges", "no new privileges", drop=("--security-opt=no-new-privileges",)),
    Weak("privileged", "seccomp", add=("--privileged",), drop=("--security-opt", "--cap-drop")),
    Weak("a writable root", "mount /", drop=("--read-only",)),
    Weak("the engine's writable folders", "other mounts", swap=("--read-only-tmpfs=false", "--read-only-tmpfs=true")),
    Weak("an executable scratch", "mount /tmp", swap=("/tmp:rw,noexec", "/tmp:rw,exec")),
    Weak("a setuid scratch", "mount /tmp", swap=("/tmp:rw,noexec,nosuid", "/tmp:rw,noexec,suid")),
    Weak("devices on scratch", "mount /tmp", swap=("nosuid,nodev,mode=1777", "nosuid,dev,mode=1777")),
    Weak("an endless scratch", "mount /tmp", swap=("size=16777216", "size=67108864")),
    Weak("no scratch", "mount /tmp", drop=("--tmpfs=/tmp",)),
    Weak("message queues", "other mounts", drop=("--tmpfs=/dev/mqueue",)),
    Weak("a writable door", "mount /run/door", swap=(":/run/door:ro", ":/run/door:rw")),
    Weak("a writable boot folder", "mount /run/boot", swap=(":/run/boot:ro", ":/run/boot:rw")),
    Weak("one more writable folder", "other mounts", add=("--volume=/etc:/more:rw",)),
    Weak("one more readable folder", "other mounts", add=("--volume=/etc:/more:ro",)),
    Weak("no memory limit", "memory limit", drop=("--memory",)),
    Weak("endless swap", "memory and swap limit", swap=("--memory-swap=134217728", "--memory-swap=-1")),
    Weak("endless processes", "process limit", swap=("--pids-limit=32", "--pids-limit=-1")),
    Weak("all CPUs", "CPU limit", drop=("--cpus",)),
    Weak("core dumps", "core limit", swap=("core=0:0", "core=4096:4096")),
    Weak("more open files", "open files limit", swap=("nofile=1024:1024", "nofile=1025:1025")),
    Weak("more processes of the user", "user process limit", swap=("nproc=64:64", "nproc=65:65")),
    Weak("room for message queues", "message queue limit", drop=("--ulimit=msgqueue",)),
    Weak("a proxy from the environment", "environment", add=("--env=HTTPS_PROXY=localhost",)),
)


@pytest.fixture(scope="module")
def host() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _boot_file(host: Rig) -> bytes:
    return (Run(host.ram).boot / "anna" / BOOT_FILE).read_bytes()


async def test_the_untouched_container_is_accepted_and_gets_its_ticket(host: Rig) -> None:
    async with podman(host) as engine:
        started = await steps(host, engine).start(order(host))
        assert sound(started.findings)
        assert len(started.findings) > 35
        assert json.loads(_boot_file(host))["ticket"] == "ticket-anna-1-1"


async def test_the_images_own_program_hardens_itself(host: Rig) -> None:
    async with podman(host) as engine:
        started = await steps(host, engine).start(order(host, ()))
        assert next(one for one in started.findings if one.name == "not dumpable").ok


@pytest.mark.parametrize("weak", WEAKENINGS, ids=[weak.name.replace(" ", "-") for weak in WEAKENINGS])
async def test_a_weaker_container_is_killed_and_gets_no_ticket(host: Rig, weak: Weak) -> None:
    def arguments(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        return weak.arguments(spec, seccomp)

    async with podman(host, arguments) as engine:
        with pytest.raises(StepFailedError) as refused:
            await steps(host, engine).start(order(host))
        assert refused.value.trouble is Trouble.ISOLATION_WEAK
        assert weak.noticed in {finding.name for finding in refused.value.findings if not finding.ok}
        assert await engine.list() == ()
        assert json.loads(_boot_file(host))["ticket"] is None


async def test_a_program_that_can_be_traced_gets_no_ticket(host: Rig) -> None:
    async with podman(host) as engine:
        impatient = steps(host, engine)
        impatient.harden_seconds = 0.5
        with pytest.raises(StepFailedError) as refused:
            await impatient.start(order(host, SOFT))
        assert [one.name for one in refused.value.findings if not one.ok] == ["not dumpable"]
        assert await engine.list() == ()
        assert json.loads(_boot_file(host))["ticket"] is None


async def _inside(engine: PodmanEngine, container: str, call: str) -> int:
    """The errno of a libc call made inside the container, 0 when it was allowed."""
    program = (
        "import ctypes, os, threading\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"answer = {call}\n"
        "os._exit(ctypes.get_errno() if answer < 0 else 0)"
    )
    python = ("/usr/bin/python3", "-I", "-c", program)
    process = await asyncio.create_subprocess_exec(
        "podman", "exec", container, *python, env=engine.files.environment, stdin=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


CLONE, KEYCTL = {"x86_64": (56, 250), "aarch64": (220, 219)}[platform.machine()]
CALLS = {
    "a user namespace": "libc.unshare(0x10000000)",
    "a child in a user namespace": f"libc.syscall({CLONE}, 0x10000011, 0, 0, 0, 0)",
    "SysV shared memory": "libc.shmget(0, 4096, 0o1600)",
    "the keyring": f"libc.syscall({KEYCTL}, 0, -3, 1)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=[name.replace(" ", "-") for name in CALLS])
async def test_system_calls_that_a_mate_never_needs_are_denied(host: Rig, call: str) -> None:
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1"))
        assert await _inside(engine, "mate-a-1", call) == 38
    loose = _with_engine_profile()
    async with podman(host, loose) as engine:
        await engine.start(host.spec("mate-a-1"))
        assert await _inside(engine, "mate-a-1", call) == 0, "denied by something else: the test shows nothing"


def _with_engine_profile() -> Callable[[ContainerSpec, Path], tuple[str, ...]]:
    return lambda spec, _seccomp: run_arguments(spec, SECCOMP_SOURCE)


async def test_threads_and_children_still_work_under_the_tighter_profile(host: Rig) -> None:
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1", SEALED))
        call = "threading.Thread(target=dict).start() or os.waitpid(os.fork() or os._exit(0), 0)[1]"
        assert await _inside(engine, "mate-a-1", call) == 0
