"""Where what a program prints ends up, from /proc: nowhere, or in somebody's file.

The engine's monitor (``conmon``) holds the other ends of the pipes. Its command line says what it was told to do with
what it reads (conmon(8), ``--log-path``), and its open files say whether it writes any.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOWHERE = frozenset({"none", "off", "null"})
"""Names of conmon's drivers that throw everything away."""
_OPTIONS = ("-l", "--log-path")
_PASSED_ON = ("--exit-command-arg", "--runtime-arg", "--runtime-opt")
"""What follows one of these is for another program."""


def kept_output(here: Path, monitor: Path) -> tuple[str, ...]:
    """What keeps the standard output and error of the process at ``here`` (``/proc/PID``); empty is good.

    ``monitor`` is its parent's folder. Raises ``OSError`` when one of them is gone.
    """
    ends = {_end(here, number) for number in ("1", "2")} - {"", os.devnull}
    if not ends:
        return ()
    held = {entry.name: _end(monitor, entry.name) for entry in (monitor / "fd").iterdir()}
    if not ends <= set(held.values()):
        return ("unknown",)
    words = (monitor / "cmdline").read_bytes().decode(errors="replace").split("\0")
    drivers = log_drivers(words)
    files = [f"file {number}" for number in held if _written_file(monitor, number)]
    return (*(drivers or ("unknown",)), *files) if not drivers or set(drivers) - NOWHERE else tuple(files)


def log_drivers(words: Sequence[str]) -> tuple[str, ...]:
    """The drivers named in conmon's command line, without their paths."""
    found = []
    for number, word in enumerate(words):
        option, given, value = word.partition("=")
        if number and words[number - 1] in _PASSED_ON:
            continue
        if word in _OPTIONS and number + 1 < len(words):
            found.append(words[number + 1].partition(":")[0])
        elif given and option in _OPTIONS:
            found.append(value.partition(":")[0])
    return tuple(found)


def _end(process: Path, number: str) -> str:
    try:
        return str((process / "fd" / number).readlink())
    except FileNotFoundError:
        return ""


def _written_file(process: Path, number: str) -> bool:
    """Whether that is a regular file, open for writing."""
    try:
        regular = stat.S_ISREG((process / "fd" / number).stat().st_mode)
        lines = (process / "fdinfo" / number).read_text().splitlines()
    except FileNotFoundError:
        return False
    flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
    return regular and flags & os.O_ACCMODE != os.O_RDONLY
