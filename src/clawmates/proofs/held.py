"""Places that no walk through folders finds: open files without a name, and the kernel's own log."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.proofs.places import Kind, Survey, Target
from clawmates.proofs.sources import OpenFile, Piece, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.proofs.sources import Source

LONGEST_RECORD = 1 << 16
MOST_RECORDS = 1 << 18
"""More than the kernel's ring can hold."""


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Files that these processes hold open and that no folder names: deleted ones, O_TMPFILE and memfd_create(2)."""

    processes: Mapping[str, int]
    proc: Path = Path("/proc")
    kind: Kind = Kind.UNNAMED
    label: str = "open files without a name"

    def targets(self, survey: Survey) -> Iterator[Target]:
        """Each file once, whoever holds it."""
        for name, pid in self.processes.items():
            try:
                held = list((self.proc / str(pid) / "fd").iterdir())
            except FileNotFoundError:
                continue
            except OSError as error:
                survey.skipped[f"{self.kind} ({os.strerror(error.errno or 0)})"] += 1
                continue
            for one in held:
                with suppress(OSError):
                    found = one.stat()
                    identity = (found.st_dev, found.st_ino)
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink and identity not in survey.seen:
                        survey.seen.add(identity)
                        yield Target(f"descriptor {one.name} of {name} (process {pid})", partial(_descriptor, one))


@contextmanager
def _descriptor(path: Path) -> Iterator[Source]:
    """Opened anew through /proc, so that the holder's position in it does not move."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(os.strerror(error.errno or 0)) from None
    try:
        yield OpenFile(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class KernelLog:
    """What the kernel has in its ring, to which any privileged process can write (dev-kmsg)."""

    path: Path = Path("/dev/kmsg")
    kind: Kind = Kind.KERNEL
    label: str = "the kernel's log"

    def targets(self, survey: Survey) -> Iterator[Target]:
        """The one target; a container often has none to show."""
        if self.path.exists():
            yield Target(self.label, self._records)
        else:
            survey.skipped[f"{self.kind}: not shown here"] += 1

    @contextmanager
    def _records(self) -> Iterator[Source]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SourceError(os.strerror(error.errno or 0)) from None
        try:
            yield Piece(b"\n".join(_each(descriptor)))
        finally:
            os.close(descriptor)


def _each(descriptor: int) -> Iterator[bytes]:
    """One record a read; EPIPE says that some were overwritten meanwhile, and the next read goes on behind them."""
    for _ in range(MOST_RECORDS):
        try:
            record = os.read(descriptor, LONGEST_RECORD)
        except BrokenPipeError:
            continue
        except OSError:
            return
        if not record:
            return
        yield record
