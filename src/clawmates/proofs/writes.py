"""How many bytes a process has caused to be written to disk (proc(5): /proc/PID/io)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_WRITE_BYTES = re.compile(r"^write_bytes: (\d+)$", re.MULTILINE)


class WritesUnreadableError(Exception):
    """The kernel does not say what the process has written: it is gone, or this user may not ask."""


def write_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """Bytes so far, the container runtime's set-up before exec (16 to 60 KB) included.

    Raises :class:`WritesUnreadableError`.
    """
    try:
        found = _WRITE_BYTES.search((proc / str(pid) / "io").read_text())
    except OSError:
        raise WritesUnreadableError from None
    if found is None:
        raise WritesUnreadableError
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a mate had written at its own start, as node read it; only what comes on top is its own doing."""

    pid: int
    start: int

    def growth(self, proc: Path = Path("/proc")) -> int:
        """Bytes since then. Raises :class:`WritesUnreadableError`."""
        return write_bytes(self.pid, proc) - self.start
