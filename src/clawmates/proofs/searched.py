"""The list of places for one platform: what a message could have been left in on this host."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.proofs.held import KernelLog, Unnamed
from clawmates.proofs.mounts import Beneath, beneath, writable
from clawmates.proofs.places import Arguments, Disk, Folder, Kind, Place, ProcessMemory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clawmates.base.paths import Run, State

RAW_LIMIT = 2 << 30
"""A device larger than this is read only with ``--full``; a loop image always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Folders of the machine itself in which programs leave things."""

    temp: tuple[str, ...] = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - they are searched, not used
    log: tuple[str, ...] = ("/var/log",)
    journal: tuple[str, ...] = ("/var/log/journal", "/run/log/journal")
    core: tuple[str, ...] = ("/var/lib/systemd/coredump", "/var/crash", "/var/lib/apport/coredump", "/cores")
    engine: tuple[str, ...] = ("/var/lib/containers", "/run/containers")
    """Where Podman keeps things when it is not told otherwise."""
    rest: tuple[str, ...] = ("/root", "/home", "/var", "/run", "/etc", "/srv", "/opt")
    """Where else on a machine things are left; with ``--full`` everything below ``whole``."""
    whole: str = "/"

    @classmethod
    def here(cls) -> Host:
        """The usual folders, and what ``TMPDIR`` says."""
        usual = cls()
        return replace(usual, temp=tuple(dict.fromkeys((*usual.temp, os.environ.get("TMPDIR") or usual.temp[0]))))


@dataclass(frozen=True, slots=True)
class Searched:
    """The places, and sentences on what will not be looked at."""

    places: tuple[Place, ...]
    not_looked_at: tuple[str, ...]


def searched(
    state: State,
    run: Run,
    *,
    processes: Mapping[str, int],
    mates: Mapping[str, int],
    host: Host,
    full: bool = False,
) -> Searched:
    """Every place for a platform; ``processes`` and ``mates`` are names and process ids.

    With ``full``, devices of any size are read and files are not passed over for their age.
    """
    new = not full
    places: list[Place] = [
        Folder(Kind.STATE, state.root),
        Folder(Kind.ENGINE, state.engine),
        Folder(Kind.RUN, run.root),
        *(Folder(Kind.ENGINE, Path(path), only_new=new) for path in host.engine),
    ]
    devices, unseen = _devices(state, host, full=full)
    places += devices
    places += [Folder(Kind.JOURNAL, Path(path), only_new=new) for path in host.journal]
    places += [Folder(Kind.CORE, Path(path), only_new=new) for path in host.core]
    places += [Folder(Kind.CORE, path, only_new=new, flat=True) for path in core_folders(processes)]
    places += [Folder(Kind.LOG, Path(path), only_new=new) for path in host.log]
    places += [Folder(Kind.TEMP, Path(path), only_new=new) for path in host.temp]
    rest = (host.whole,) if full and host.rest else host.rest
    places += [Folder(Kind.REST, Path(path), only_new=True) for path in rest]
    places += [Folder(Kind.CONTAINER, folder) for folder in container_folders(mates)]
    places += [ProcessMemory(name, pid) for name, pid in processes.items()]
    places += [Unnamed({**processes, **{f"the mate of {bot}": pid for bot, pid in mates.items()}}), KernelLog()]
    places.append(Arguments())
    return Searched(tuple(places), tuple(unseen))


def _devices(state: State, host: Host, *, full: bool) -> tuple[list[Place], list[str]]:
    places: list[Place] = []
    unseen: list[str] = []
    beneaths: dict[object, Beneath] = {}
    for folder in (state.root, state.engine):
        if folder.is_dir():
            found = beneath(folder)
            beneaths.setdefault(found.path or found.label, found)
    for found in beneaths.values():
        if found.path is None:
            unseen.append(f"raw device {found.label}: {found.reason}")
        elif found.image or found.size <= RAW_LIMIT or full:
            places.append(Disk(Kind.DEVICE, found.path, found.label))
        else:
            unseen.append(_too_large("raw device", found))
    unseen += [
        f"deleted files of {folder}, which lies on a device that is not read"
        for folder in host.temp
        if Path(folder).is_dir() and _elsewhere(beneath(Path(folder)), places)
    ]
    for found in swaps():
        if found.path is not None and (found.size <= RAW_LIMIT or full):
            places.append(Disk(Kind.SWAP, found.path, found.label))
        else:
            unseen.append(_too_large("swap", found))
    return places, unseen


def _elsewhere(found: Beneath, read: list[Place]) -> bool:
    return found.path is not None and found.path not in {one.path for one in read if isinstance(one, Disk)}


def _too_large(what: str, found: Beneath) -> str:
    return f"{what} {found.label}: {found.size / (1 << 30):.0f} GiB, read only with --full"


def swaps(text: str | None = None) -> tuple[Beneath, ...]:
    """The swap areas that are on (proc(5) swaps)."""
    if text is None:
        text = Path("/proc/swaps").read_text()
    areas = (line.split() for line in text.splitlines()[1:])
    return tuple(Beneath(area[0], Path(area[0]), int(area[2]) * 1024) for area in areas)


def container_folders(mates: Mapping[str, int]) -> Iterator[Path]:
    """Everything in mates with a root of their own that is mounted writable, whatever it is for."""
    ours = Path("/").stat()
    for pid in mates.values():
        root = Path(f"/proc/{pid}/root")
        with suppress(OSError):
            found = root.stat()
            if (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino):
                yield from (root / point.lstrip("/") for point in writable(pid))


def core_folders(processes: Mapping[str, int], pattern: str | None = None) -> tuple[Path, ...]:
    """Where the kernel itself would write a core dump (core(5)); a pattern with a pipe names its own collector."""
    if pattern is None:
        pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith("|"):
        return ()
    if pattern.startswith("/"):
        return (Path(pattern.partition("%")[0] + "_").parent,)
    return tuple(Path(f"/proc/{pid}/cwd") for pid in processes.values())
