"""The user ids that bots get, kept from being given to anybody else.

The host's tools hand out ranges from /etc/subuid and /etc/subgid (subuid(5), useradd(8)). An entry under a name that
nobody bears takes ours out of that, and gives no one a right to it: newuidmap(1) reads the entries of its caller alone.
"""

from __future__ import annotations

from pathlib import Path

from clawmates.node.spec import FIRST_UID, SLOTS, UIDS

FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
LINE = f"clawmates:{FIRST_UID}:{SLOTS * UIDS}"


def lacking(files: tuple[Path, ...] = FILES) -> tuple[Path, ...]:
    """The files that do not say so yet."""
    return tuple(path for path in files if LINE not in _lines(path))


def overlaps(files: tuple[Path, ...] = FILES) -> tuple[str, ...]:
    """Entries of others that overlap with ours."""
    found = []
    for line in (line for path in files for line in _lines(path) if line != LINE):
        _, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.isdecimal() and _overlap(int(first), int(count)):
            found.append(line)
    return tuple(dict.fromkeys(found))


def _overlap(first: int, count: int) -> bool:
    return first < FIRST_UID + SLOTS * UIDS and first + count > FIRST_UID


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
