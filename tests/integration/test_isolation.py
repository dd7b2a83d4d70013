"""Each wall of a mate's container, taken away one at a time in a real engine: the read-back must miss it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import select
import signal
import socket
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.support.engines import SEALED, Rig, order, podman, rig, steps

from clawmates.base.paths import Run
from clawmates.node.engines.podman import run_arguments
from clawmates.node.engines.podman_files import SECCOMP_SOURCE, PodmanFiles
from clawmates.node.facts import parse_status
from clawmates.node.isolation import sound
from clawmates.node.steps import StepFailedError
from clawmates.wire.boot import BOOT_FILE
from clawmates.wire.codes import Trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from clawmates.node.engines.base import ContainerSpec
    from clawmates.node.engines.podman import PodmanEngine
    from clawmates.wire.status import Finding

SOFT = ("/usr/bin/python3", "-I", "-c", "import signal; signal.pause()")
"""A program that forgets to harden itself."""


@dataclass(frozen=True)
class Weak:
    """``drop`` removes arguments that start so, ``swap`` replaces text in them, ``add`` puts new ones first.

    In ``add``, ``{allow}`` is a seccomp profile that allows everything, ``{shared}`` a folder on a shared mount.
    """

    name: str
    noticed: str
    drop: tuple[str, ...] = ()
    swap: tuple[str, str] = ("", "")
    add: tuple[str, ...] = ()

    def arguments(self, spec: ContainerSpec, seccomp: Path, places: Mapping[str, Path]) -> tuple[str, ...]:
        kept = [one for one in run_arguments(spec, seccomp) if not (self.drop and one.startswith(self.drop))]
        if self.drop:
            assert len(kept) < len(run_arguments(spec, seccomp)), "this weakening no longer drops anything"
        if self.swap[0]:
            assert any(self.swap[0] in one for one in kept), "this weakening no longer weakens anything"
            kept = [one.replace(*self.swap) for one in kept]
        assert len(kept) < len(run_arguments(spec, seccomp)) or self.swap[0] or self.add
        return (kept[0], *(one.format_map(places) for one in self.add), *kept[1:])

    def touches(self, argument: str) -> bool:
        """Whether it removes or changes that argument."""
        dropped = bool(self.drop) and argument.startswith(self.drop)
        return dropped or (bool(self.swap[0]) and self.swap[0] in argument)


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
    Weak("unmasked kernel files", "kernel files in reach", add=("--security-opt=unmask=ALL",)),
    Weak("one unmasked kernel file", "kernel files in reach", add=("--security-opt=unmask=/proc/keys",)),
    Weak("writable kernel settings", "kernel files in reach", add=("--security-opt=unmask=/proc/sys",)),
    Weak("the host's /proc", "the host's own", add=("--volume=/proc:/proc:ro",)),
    Weak("the host's /sys", "the host's own", add=("--volume=/sys:/sys:ro",)),
    Weak(
        "a seccomp profile that allows all",
        "forbidden system calls",
        drop=("--security-opt=seccomp",),
        add=("--security-opt=seccomp={allow}",),
    ),
    Weak(
        "the engine's own seccomp profile",
        "forbidden system calls",
        drop=("--security-opt=seccomp",),
        add=(f"--security-opt=seccomp={SECCOMP_SOURCE}",),
    ),
    Weak("another bot's boot folder", "folder /run/boot", swap=("/boot/anna/1:", "/boot/ben/1:")),
    Weak("another bot's door", "folder /run/door", swap=("/doors/anna:", "/doors/ben:")),
    Weak("a log file", "output kept", swap=("--log-driver=none", "--log-driver=k8s-file")),
    Weak("the engine's own choice of a log", "output kept", drop=("--log-driver",)),
    Weak("a looser umask", "umask", swap=("--umask=0077", "--umask=0022")),
    Weak("the engine's own umask", "umask", drop=("--umask",)),
    Weak("mounts that follow the host's", "shared mounts", add=("--volume={shared}:/more:ro,rslave",)),
    Weak("mounts shared with the host", "shared mounts", add=("--volume={shared}:/more:ro,rshared",)),
    Weak("folders for systemd", "other mounts", swap=("--systemd=false", "--systemd=always")),
    Weak("the image's environment", "environment", drop=("--unsetenv-all",)),
    Weak("the host's list of hosts", "other mounts", drop=("--no-hosts",)),
    Weak("a proxy from the environment", "environment", add=("--env=HTTPS_PROXY=localhost",)),
)


@pytest.fixture(scope="module")
def host() -> Iterator[Rig]:
    with rig() as made:
        for folder in (Run(made.ram).boot, Run(made.ram).doors):
            (folder / "ben" / "1").mkdir(parents=True)
        yield made


@pytest.fixture(scope="module")
def places(host: Rig) -> Iterator[Mapping[str, Path]]:
    allow, shared = host.disk / "allow.json", host.disk / "shared"
    allow.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    shared.mkdir()
    subprocess.run(["mount", "--bind", shared, shared], check=True)
    try:
        subprocess.run(["mount", "--make-shared", shared], check=True)
        yield {"allow": allow, "shared": shared}
    finally:
        subprocess.run(["umount", "--lazy", shared], check=True)


@dataclass
class Hand:
    """One engine for many containers; ``arguments`` are those of the next."""

    arguments: Callable[[ContainerSpec, Path], tuple[str, ...]]
    engine: PodmanEngine = field(init=False)

    def current(self, spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        return self.arguments(spec, seccomp)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(host: Rig) -> AsyncIterator[Hand]:
    """To open an engine anew takes three calls of Podman, and nobody here asks for more than five."""
    hand = Hand(run_arguments)
    async with podman(host, hand.current) as hand.engine:
        yield hand


@pytest_asyncio.fixture(loop_scope="module")
async def hand(opened: Hand, request: pytest.FixtureRequest) -> AsyncIterator[Hand]:
    """What a test that fails leaves behind is not the next one's."""
    failed = request.session.testsfailed
    yield opened
    if request.session.testsfailed != failed:
        for running in await opened.engine.list():
            await opened.engine.stop(running.name, 0)


def _boot_file(host: Rig) -> bytes:
    return (Run(host.ram).boot / "anna" / "1" / BOOT_FILE).read_bytes()


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
@pytest.mark.asyncio(loop_scope="module")
async def test_a_weaker_container_is_killed_and_gets_no_ticket(
    host: Rig, places: Mapping[str, Path], hand: Hand, weak: Weak
) -> None:
    hand.arguments = lambda spec, seccomp: weak.arguments(spec, seccomp, places)
    with pytest.raises(StepFailedError) as refused:
        await steps(host, hand.engine).start(order(host))
    assert refused.value.trouble is Trouble.ISOLATION_WEAK
    assert weak.noticed in {finding.name for finding in refused.value.findings if not finding.ok}
    assert await hand.engine.list() == ()
    assert json.loads(_boot_file(host))["ticket"] is None


def without(*options: str) -> Callable[[ContainerSpec, Path], tuple[str, ...]]:
    return lambda spec, seccomp: tuple(one for one in run_arguments(spec, seccomp) if not one.startswith(options))


async def _findings(
    host: Rig, arguments: Callable[[ContainerSpec, Path], tuple[str, ...]], **changes: Any
) -> dict[str, Finding]:
    """What is bad about a container with such arguments; ``changes`` are the container's."""
    asked = order(host)
    async with podman(host, arguments) as engine:
        try:
            await steps(host, engine).start(replace(asked, container=replace(asked.container, **changes)))
        except StepFailedError as refused:
            if refused.trouble is not Trouble.ISOLATION_WEAK:
                raise
            return {finding.name: finding for finding in refused.findings if not finding.ok}
        return {}


@dataclass(frozen=True)
class LoudFiles(PodmanFiles):
    """The engine of a node that did not clean its own environment."""

    @property
    def environment(self) -> dict[str, str]:
        noise = {"https_proxy": "http://localhost:1", "NOTIFY_SOCKET": str(self.run / "notify")}
        return PodmanFiles(self.storage, self.run).environment | noise


@dataclass(frozen=True)
class LoudRig(Rig):
    @property
    def files(self) -> PodmanFiles:
        return LoudFiles(self.disk / "engine", self.ram / "engine")


async def test_what_node_itself_was_started_with_stays_outside(host: Rig) -> None:
    loud = LoudRig(host.disk, host.ram, host.release, host.key)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        loud.files.run.mkdir(exist_ok=True)
        notify.bind(loud.files.environment["NOTIFY_SOCKET"])
        assert await _findings(loud, run_arguments) == {}
        assert (await _findings(loud, without("--http-proxy")))["environment"].found == "https_proxy"
        assert set(await _findings(loud, without("--sdnotify"))) == {"environment", "other mounts"}


async def test_an_account_that_the_engine_would_write_is_seen(host: Rig) -> None:
    assert await _findings(host, run_arguments, user=1001) == {}
    found = await _findings(host, without("--passwd"), user=1001)
    assert set(found["other mounts"].found.split()) == {"/etc/passwd", "/etc/group"}


@pytest.fixture
async def demanding(host: Rig) -> AsyncIterator[str]:
    """An image that asks for a writable volume."""
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1"))
        command = ("podman", "commit", "--quiet", "--change=VOLUME /data", "mate-a-1")
        process = await asyncio.create_subprocess_exec(
            *command, env=engine.files.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        yield f"sha256:{said.decode().strip()}"


async def test_volumes_that_an_image_asks_for_are_refused(host: Rig, demanding: str) -> None:
    assert await _findings(host, run_arguments, image=demanding) == {}
    assert (await _findings(host, without("--image-volume"), image=demanding))["other mounts"].found == "/data"


async def test_a_container_of_another_image_is_refused(host: Rig, demanding: str) -> None:
    def swapped(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        return run_arguments(replace(spec, image=demanding), seccomp)

    assert set(await _findings(host, swapped)) == {"image"}


def _parent(pid: int) -> int:
    return int(parse_status(Path(f"/proc/{pid}/status").read_text())["PPid"])


@pytest.mark.parametrize("policy", ["no", "always"])
async def test_the_engine_restarts_nothing_by_itself(host: Rig, policy: str) -> None:
    """A container that the engine brought back would run without having been read back."""

    def arguments(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        return tuple(one.replace("--restart=no", f"--restart={policy}") for one in run_arguments(spec, seccomp))

    async with podman(host, arguments) as engine:
        before = await engine.start(host.spec("mate-a-1"))
        monitor = os.pidfd_open(_parent(before.pid))
        os.kill(before.pid, signal.SIGKILL)
        await asyncio.to_thread(select.select, [monitor], [], [], 30)
        os.close(monitor)
        async with asyncio.timeout(60):
            while (after := (await engine.list())[0]).pid == (0 if policy == "always" else before.pid):
                continue
        assert (after.pid not in {0, before.pid}) == (policy == "always")


ELSEWHERE = {
    "--detach": "node does not stay with it",
    "--name": "a name, no wall",
    "--label": "what an adopting node knows it by, no wall",
    "--http-proxy": test_what_node_itself_was_started_with_stays_outside.__name__,
    "--sdnotify": test_what_node_itself_was_started_with_stays_outside.__name__,
    "--passwd": test_an_account_that_the_engine_would_write_is_seen.__name__,
    "--image-volume": test_volumes_that_an_image_asks_for_are_refused.__name__,
    "--restart": test_the_engine_restarts_nothing_by_itself.__name__,
    "--pull": "an image is named by its digest: tests/contract/test_engines.py, an unknown image",
}
"""Arguments of ``podman run`` that no row above is about, and where they are tried."""


def test_every_argument_of_the_engine_has_a_weakening_that_misses_it(host: Rig) -> None:
    asked = run_arguments(host.spec("mate-a-1"), host.files.seccomp)[1:]
    options = [one for one in asked if one.startswith("--")]
    untried = {one for one in options if not any(weak.touches(one) for weak in WEAKENINGS)}
    assert {one.partition("=")[0] for one in untried} == set(ELSEWHERE)


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


async def test_system_calls_that_a_mate_never_needs_are_denied(host: Rig) -> None:
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1"))
        denied = {name: await _inside(engine, "mate-a-1", call) for name, call in CALLS.items()}
    assert denied == dict.fromkeys(CALLS, 38)
    async with podman(host, _with_engine_profile()) as engine:
        await engine.start(host.spec("mate-a-1"))
        allowed = {name: await _inside(engine, "mate-a-1", call) for name, call in CALLS.items()}
    assert allowed == dict.fromkeys(CALLS, 0), "denied by something else: the test shows nothing"


def _with_engine_profile() -> Callable[[ContainerSpec, Path], tuple[str, ...]]:
    return lambda spec, _seccomp: run_arguments(spec, SECCOMP_SOURCE)


async def test_threads_and_children_still_work_under_the_tighter_profile(host: Rig) -> None:
    async with podman(host) as engine:
        await engine.start(host.spec("mate-a-1", SEALED))
        call = "threading.Thread(target=dict).start() or os.waitpid(os.fork() or os._exit(0), 0)[1]"
        assert await _inside(engine, "mate-a-1", call) == 0
