"""What the kernel says of memory."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1 << 20


class NoFigureError(Exception):
    """This kernel does not say what was asked."""


def available() -> int:
    """Bytes that the kernel could still give (MemAvailable, proc(5)), with caches dropped first."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")
    return _line(Path("/proc/meminfo"), "MemAvailable:")


def pss(pid: int) -> int:
    """Bytes of a process's proportional set: its own, and its share of what it shares (proc_pid_smaps(5))."""
    return _line(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _line(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise NoFigureError(f"{path} has no line {name}")
