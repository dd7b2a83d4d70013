"""What is mounted, and which device lies beneath a folder (proc(5) mountinfo, sysfs)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

NOT_ENTERED = (
    "overlay",
    "proc",
    "sysfs",
    "cgroup",
    "dev",
    "fuse",
    "nfs",
    "debugfs",
    "tracefs",
    "bpf",
    "nsfs",
    "mqueue",
)
"""File system types, by prefix, that hold no bytes of their own or are somebody else's machine."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    device: int
    """As in ``st_dev``."""
    point: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Beneath:
    """What a folder's bytes end up on: ``path`` can be read raw, or ``reason`` says why nothing can."""

    label: str
    path: Path | None = None
    size: int = 0
    image: bool = False
    """A loop device: ``path`` is then the image file behind it, where that can be reached."""
    reason: str = ""


def mounts(text: str | None = None) -> tuple[Mount, ...]:
    """All mounts this process sees, in the order they were made."""
    if text is None:
        text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    found: list[Mount] = []
    for line in text.splitlines():
        first, _, last = line.partition(" - ")
        fields, rest = first.split(), last.split()
        major, _, minor = fields[2].partition(":")
        found.append(Mount(os.makedev(int(major), int(minor)), _plain(fields[4]), rest[0], _plain(rest[1])))
    return tuple(found)


def writable(pid: int) -> tuple[str, ...]:
    """Where a process could write by its mounts: those of file systems that keep bytes, and are not read-only."""
    found: dict[str, bool] = {}
    for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape").splitlines():
        first, _, last = line.partition(" - ")
        fields, rest = first.split(), last.split()
        options = {*fields[5].split(","), *rest[2].split(",")}
        # The last one lies on top of all others of the same place.
        found[_plain(fields[4])] = "ro" not in options and not rest[0].startswith(NOT_ENTERED)
    return tuple(point for point, writes in found.items() if writes)


def _plain(escaped: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), escaped)


def beneath(folder: Path, sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> Beneath:
    """The device, image or RAM that ``folder`` lies on."""
    folder = folder.resolve()
    number = folder.stat().st_dev
    mount = max(
        (one for one in mounts() if folder.is_relative_to(one.point)), key=lambda one: len(one.point), default=None
    )
    label = f"beneath {folder}"
    if mount is not None and mount.kind in {"tmpfs", "ramfs"}:
        return Beneath(label, reason=f"{mount.kind}: it lies in RAM, not on a device")
    if os.major(number) == 0:
        if mount is None or not mount.source.startswith("/dev/"):
            kind = mount.kind if mount else "unknown"
            return Beneath(label, reason=f"the file system ({kind}) does not show its device")
        try:
            number = Path(mount.source).stat().st_rdev
        except OSError as error:
            return Beneath(label, reason=f"{mount.source}: {os.strerror(error.errno or 0)}")
    return _block(number, label, sys, dev)


def _block(number: int, label: str, sys: Path, dev: Path) -> Beneath:
    block = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    try:
        name = re.search(r"^DEVNAME=(.+)$", (block / "uevent").read_text(), re.MULTILINE)
        size = int((block / "size").read_text()) * 512
    except OSError:
        name, size = None, 0
    if name is None:
        return Beneath(label, reason=f"device {os.major(number)}:{os.minor(number)} is not shown here")
    path = dev / name[1]
    for loop in (block / "loop", block / ".." / "loop"):
        try:
            image = Path((loop / "backing_file").read_text().rstrip("\n"))
        except OSError:
            continue
        if image.is_file():
            return Beneath(f"{path} {label}, by its image {image}", image, size, image=True)
        return Beneath(f"{path} {label}", path, size, image=True)
    return Beneath(f"{path} {label}", path, size)
