"""What the doctor may put right by itself: nothing that removes, replaces or restarts anything."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.selfhost.doctor.reserve import FILES, LINE, lacking
from clawmates.selfhost.layout import RUN_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.selfhost.doctor.machine import Machine


class FixError(Exception):
    """A repair did not go through; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run."""

    check: str
    """The check that it is for."""
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        """As one would type it."""
        return " ".join(self.arguments)

    def do(self) -> None:
        """Raises :class:`FixError`."""
        done = subprocess.run(self.arguments, check=False, capture_output=True, text=True)  # noqa: S603 - made below
        if done.returncode != 0:
            raise FixError(f"`{self}` failed: {done.stderr.strip() or done.returncode}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line to add to a file."""

    check: str
    path: Path
    line: str

    def __str__(self) -> str:
        """As one would type it."""
        return f"echo '{self.line}' >> {self.path}"

    def do(self) -> None:
        """Raises :class:`FixError`."""
        try:
            text = self.path.read_text() if self.path.exists() else ""
            with self.path.open("a") as stream:
                stream.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}{self.line}\n")
        except OSError as error:
            raise FixError(f"`{self}` failed: {error.strerror}.") from None


Fix = Command | Line


def fixes(machine: Machine, files: tuple[Path, ...] = FILES) -> Iterator[Fix]:
    """What would help and is safe, in the order in which it is to be done."""
    for name in machine.missing_users:
        options = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent")
        command = ("useradd", *options, "--shell", "/usr/sbin/nologin", name)
        yield Command(check="service users", arguments=command)
    if not machine.overlaps:
        for path in lacking(files):
            yield Line(check="user ids", path=path, line=LINE)
    if not machine.mounted and machine.in_memory:
        yield Command(check="memory file system", arguments=("mkdir", "-p", machine.run))
        mount = ("mount", "-t", "tmpfs", "-o", RUN_SIZE, "clawmates", machine.run)
        yield Command(check="memory file system", arguments=mount)
    for folder in machine.wrong_folders:
        place, (uid, gid) = str(folder.path), folder.account.owner
        yield Command(check="folders", arguments=("mkdir", "-p", place))
        yield Command(check="folders", arguments=("chown", f"{uid}:{gid}", place))
        yield Command(check="folders", arguments=("chmod", f"{folder.mode:o}", place))
