"""Looks at this machine; nothing it finds is judged here."""

from __future__ import annotations

import asyncio
import os
import platform
import pwd
import shutil
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.settings import Settings, SettingsError, address, load
from clawmates.node.boot import in_memory
from clawmates.node.engines.base import EngineMissingError
from clawmates.node.engines.podman_files import SECCOMP_SOURCE
from clawmates.node.engines.runtime import SEARCH_PATH, choose_runtime, here_unified
from clawmates.selfhost.accounts import OWN_USER
from clawmates.selfhost.doctor.checks import TO_SAY
from clawmates.selfhost.doctor.machine import Machine
from clawmates.selfhost.doctor.reserve import lacking, overlaps
from clawmates.selfhost.layout import Folder, in_use, run_folders, state_folders, stray
from clawmates.wire import releases

if TYPE_CHECKING:
    from clawmates.base.paths import State

SECONDS = 10.0


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
        missing_users=tuple(name for name in map("clawmates-{}".format, OWN_USER) if not _is_user(name)),
        mounted=in_memory(_existing(run), _text("/proc/self/mountinfo")),
        reserved=not lacking(),
        overlaps=overlaps(),
        wrong_folders=_wrong_folders(state, settings),
        unsaid=_unsaid(settings),
    )


def _unsaid(settings: Settings) -> frozenset[str]:
    """A self-hosted platform has nobody to say it to."""
    said = {name: getattr(settings.control, name).strip() for name in TO_SAY} if settings.hosted else {}
    return frozenset(name for name, words in said.items() if not words)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wrong_folders(state: State, settings: Settings) -> tuple[Folder, ...]:
    """Of an installed platform; a runtime folder that is gone comes back with the next start."""
    if not state.config.exists():
        return ()
    there = tuple(folder for folder in run_folders(settings.run, hosted=settings.hosted) if _there(folder.path))
    return stray((*state_folders(state, hosted=settings.hosted), *there))


def _there(path: Path) -> bool:
    """Whether it is there, as far as this user may see."""
    try:
        return path.exists()
    except PermissionError:
        return False


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
    if in_use(settings.run):
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
