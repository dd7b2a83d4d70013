"""What a machine lacks: looked up here, judged in :func:`checks`, one line each with what to do about it."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.settings import Settings, SettingsError, address, load
from clawmates.node.boot import in_memory
from clawmates.node.engines.base import EngineMissingError
from clawmates.node.engines.podman_files import SECCOMP_SOURCE
from clawmates.node.engines.runtime import SEARCH_PATH, choose_runtime, here_unified
from clawmates.wire import releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.base.paths import State

LEAST_PYTHON = (3, 11)
LEAST_PODMAN = (4, 3)
LEAST_KERNEL = (5, 19)
"""Overlay on id-mapped layers; before it every bot would get a copy of the image."""
LEAST_FREE_MIB = 1024
LEAST_USER_NAMESPACES = 32
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this day no release existed, so the clock must be wrong."""
CONTROLLERS = frozenset({"cpu", "memory", "pids"})
SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's. ``remedy`` is one sentence that tells what to do."""

    name: str
    ok: bool
    found: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Everything that was looked up."""

    python: tuple[int, int]
    root: bool
    podman: str
    """Its version, or empty."""
    runtime: str
    """The OCI runtime that would be used, or empty."""
    seccomp: bool
    """Whether the engine's seccomp profile is there."""
    kernel: str
    user_namespaces: int
    unshares: bool
    """Whether a process with namespaces of its own can be made."""
    controllers: frozenset[str]
    counts_swap: bool
    run: str
    in_memory: bool
    """Whether the runtime folder is, or can be made, a tmpfs."""
    overlays: bool
    swap: bool
    free_mib: int
    now: datetime
    mmdebstrap: bool
    taken: tuple[str, ...]
    """Addresses that another program listens on."""
    settings: str
    """What is wrong with clawmates.toml, or empty."""
    release: str
    """What is wrong with the release, or empty."""
    installed: bool = True
    """Whether there is a platform in the state folder yet."""


async def examine(state: State) -> tuple[Check, ...]:
    """Looks at this machine, in about a second; starts nothing that stays."""
    return tuple(checks(await look(state)))


def checks(machine: Machine) -> Iterator[Check]:
    """The judgement; pure."""
    yield from _system(machine)
    yield from _engine(machine)
    yield from _host(machine)
    yield from _platform(machine)


def _system(machine: Machine) -> Iterator[Check]:
    python = ".".join(str(part) for part in machine.python)
    yield Check(
        name="Python",
        ok=machine.python >= LEAST_PYTHON,
        found=python,
        remedy="Install Python 3.11 or newer and run `make setup` again.",
    )
    yield Check(
        name="privileges",
        ok=machine.root,
        found="root" if machine.root else "not root",
        remedy="Run this as root, for example with sudo: every container gets users of its own.",
    )
    yield Check(
        name="kernel",
        ok=version(machine.kernel) >= LEAST_KERNEL,
        found=machine.kernel,
        remedy="Boot Linux 5.19 or newer: before it, every bot costs a copy of the image.",
    )
    yield Check(
        name="clock",
        ok=machine.now >= EARLIEST,
        found=machine.now.isoformat(timespec="seconds"),
        remedy="Set the clock, for example with `timedatectl set-ntp true`: certificates depend on it.",
    )


def _engine(machine: Machine) -> Iterator[Check]:
    yield Check(
        name="Podman",
        ok=version(machine.podman) >= LEAST_PODMAN,
        found=machine.podman or "missing",
        remedy="Install Podman 4.3 or newer: `apt-get install podman`.",
    )
    yield Check(
        name="OCI runtime",
        ok=bool(machine.runtime),
        found=machine.runtime or "missing",
        remedy="Install a runtime, `apt-get install runc crun`, or correct [node] runtime.",
    )
    yield Check(
        name="seccomp profile",
        ok=machine.seccomp,
        found="there" if machine.seccomp else "missing",
        remedy="Install the engine's profile: `apt-get install golang-github-containers-common`.",
    )
    yield Check(
        name="user namespaces",
        ok=machine.unshares and machine.user_namespaces >= LEAST_USER_NAMESPACES,
        found=f"{machine.user_namespaces} allowed, {'usable' if machine.unshares else 'not usable'}",
        remedy="Allow them: `sysctl -w user.max_user_namespaces=15000`; inside a container, let its host allow them.",
    )
    yield Check(
        name="image builder",
        ok=machine.mmdebstrap,
        found="there" if machine.mmdebstrap else "missing",
        remedy="Install what `make image` needs: `apt-get install mmdebstrap debian-archive-keyring`.",
    )


def _host(machine: Machine) -> Iterator[Check]:
    lacking = sorted(CONTROLLERS - machine.controllers)
    yield Check(
        name="cgroup controllers",
        ok=not lacking,
        found=f"without {', '.join(lacking)}" if lacking else "cpu, memory, pids",
        remedy="Boot with `cgroup_enable=memory` and without `cgroup_disable=`: limits are part of the isolation.",
    )
    yield Check(
        name="swap accounting",
        ok=machine.counts_swap,
        found="counted" if machine.counts_swap else "not counted",
        remedy="Boot with `swapaccount=1`, so that a container's memory limit holds for swap too.",
    )
    yield Check(
        name="swap",
        ok=not machine.swap,
        found="in use" if machine.swap else "off",
        remedy="Turn swap off with `swapoff -a` and in /etc/fstab: what is in memory must not reach a disk.",
    )
    yield Check(
        name="memory file system",
        ok=machine.in_memory,
        found=f"{machine.run} {'can lie' if machine.in_memory else 'cannot lie'} in RAM",
        remedy=f"Mount a tmpfs: `mount -t tmpfs -o mode=755,size=256m clawmates {machine.run}`.",
    )
    yield Check(
        name="overlay file system",
        ok=machine.overlays,
        found="works" if machine.overlays else "does not work",
        remedy="Put the state folder on ext4, xfs or btrfs (--state): images cannot be stacked where it is.",
    )
    yield Check(
        name="disk space",
        ok=machine.free_mib >= LEAST_FREE_MIB,
        found=f"{machine.free_mib} MiB free",
        remedy=f"Make room: the state folder's disk needs {LEAST_FREE_MIB} MiB free.",
    )


def _platform(machine: Machine) -> Iterator[Check]:
    yield Check(
        name="configuration",
        ok=not machine.settings,
        found=machine.settings or "readable",
        remedy="Correct clawmates.toml, or write a new one with `clawmates selfhost init`.",
    )
    yield Check(
        name="ports",
        ok=not machine.taken,
        found=f"taken: {', '.join(machine.taken)}" if machine.taken else "free or ours",
        remedy="Stop the program that listens there, or set another [vault] listen.",
    )
    yield Check(
        name="release",
        ok=not machine.release or not machine.installed,
        found=machine.release or "signed" if machine.installed else "`clawmates selfhost init` will bring one",
        remedy="Build and sign one with `make image`, then run `clawmates selfhost init`.",
    )


async def look(state: State) -> Machine:
    """Asks the machine; nothing it finds is judged here."""
    settings, wrong = _settings(state)
    run = settings.run.root
    podman, unshares, overlays, tmpfs = await asyncio.gather(
        _said("podman", "--version"),
        _works("unshare", "--user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "true"),
        _overlays(_existing(state.root)),
        _works("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"),
    )
    return Machine(
        python=(sys.version_info.major, sys.version_info.minor),
        root=os.geteuid() == 0,
        podman=podman.rpartition(" ")[2],
        runtime=_runtime(settings.node.runtime),
        seccomp=SECCOMP_SOURCE.exists(),
        kernel=platform.release(),
        user_namespaces=_number(Path("/proc/sys/user/max_user_namespaces")),
        unshares=unshares,
        controllers=_controllers(),
        counts_swap=_counts_swap(Path("/sys/fs/cgroup")),
        run=str(run),
        in_memory=tmpfs or in_memory(_existing(run), _text("/proc/self/mountinfo")),
        overlays=overlays,
        swap=len(_text("/proc/swaps").splitlines()) > 1,
        free_mib=shutil.disk_usage(_existing(state.root)).free >> 20,
        now=datetime.now(UTC),
        mmdebstrap=shutil.which("mmdebstrap", path=SEARCH_PATH) is not None,
        taken=_taken(settings),
        settings=wrong,
        release=_release(state, settings),
        installed=state.config.exists(),
    )


def version(text: str) -> tuple[int, ...]:
    """``6.1.0-18-amd64`` as (6, 1): the first two numbers, or nothing."""
    parts = text.replace("-", ".").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _settings(state: State) -> tuple[Settings, str]:
    if not state.config.exists():
        return Settings(), ""
    try:
        return load(state.config), ""
    except SettingsError as error:
        return Settings(), str(error)


def _runtime(configured: str) -> str:
    try:
        return str(choose_runtime(configured, unified=here_unified()))
    except EngineMissingError:
        return ""


def _release(state: State, settings: Settings) -> str:
    try:
        releases.load(state.release, settings.node.release_key)
    except releases.ReleaseMissingError:
        return "missing"
    except releases.ReleaseError as error:
        return str(error) or type(error).__name__
    return ""


def _taken(settings: Settings) -> tuple[str, ...]:
    """Addresses that cannot be bound; the platform's own, while it runs, do not count."""
    if settings.run.ports.exists() and settings.run.node.exists():
        return ()
    try:
        host, port = address(settings.vault.listen)
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return ()
    except SettingsError:
        return ()
    except OSError:
        return (settings.vault.listen,)


def _controllers() -> frozenset[str]:
    try:
        unified = Path("/sys/fs/cgroup/cgroup.controllers")
        if unified.exists():
            return frozenset(unified.read_text().split())
        rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
        return frozenset(row[0] for row in rows if row[3] == "1")
    except (OSError, IndexError):
        return frozenset()


def _counts_swap(cgroups: Path) -> bool:
    v1 = cgroups / "memory" / "memory.memsw.limit_in_bytes"
    return v1.exists() or any(True for _ in cgroups.glob("*/memory.swap.max"))


def _text(path: str) -> str:
    return Path(path).read_text()


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _existing(path: Path) -> Path:
    """The nearest folder that is there."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir()).resolve()


async def _overlays(folder: Path) -> bool:
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as name:
            for part in ("lower", "upper", "work", "merged"):
                (Path(name) / part).mkdir()
            options = f"lowerdir={name}/lower,upperdir={name}/upper,workdir={name}/work"
            mount = ("mount", "-t", "overlay", "overlay", "-o", options, f"{name}/merged")
            return await _works("unshare", "--mount", *mount)
    except OSError:
        return False


async def _works(*command: str) -> bool:
    return (await _run(command))[0] == 0


async def _said(*command: str) -> str:
    code, said = await _run(command)
    return said.decode(errors="replace").strip() if code == 0 else ""


async def _run(command: tuple[str, ...]) -> tuple[int, bytes]:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8"},
        )
    except OSError:
        return -1, b""
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, b""
    return process.returncode if process.returncode is not None else -1, said
