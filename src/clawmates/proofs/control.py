"""The search tried on what is certainly there, so that finding nothing means something."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.packings import PACKINGS
from clawmates.proofs.places import Folder, Kind, Place
from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece, open_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.sources import Source

_AROUND = b"\x00before "


class SearchBrokenError(Exception):
    """The search misses what is certainly there; its silence would prove nothing."""


def check_encodings(canary: Canary) -> int:
    """Plants the canary in RAM in every encoding, bare and compressed, and finds each by its name.

    Returns how many were tried. Raises :class:`SearchBrokenError`.
    """
    patterns = Patterns.of(canary)
    tried = 0
    for encoding in ENCODINGS:
        planted = _AROUND + encoding.plant(canary.mark) + _AROUND
        for name, data in (
            (encoding.name, planted),
            *((f"{packing.name} > {encoding.name}", _AROUND + packing.pack(planted)) for packing in PACKINGS),
        ):
            if name not in names(Piece(data), patterns):
                raise SearchBrokenError(f"a planted canary was not found as {name}")
            tried += 1
    return tried


def check_memory(canary: Canary, patterns: Patterns) -> None:
    """Finds the canary in this very process, on a page that holds it, as it is looked for in other processes.

    Raises :class:`SearchBrokenError`, ``SourceError``.
    """
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        page.write(canary.stem.encode())
        held = ctypes.c_char.from_buffer(page)
        start = ctypes.addressof(held)
        # Or the page could not be given back.
        del held
        with open_memory(os.getpid(), at=start) as memory:
            if not any(isinstance(event, Found) for event in search(memory.within(start, mmap.PAGESIZE), patterns)):
                raise SearchBrokenError("the canary was not found in the memory of the process that holds it")


def names(source: Source, patterns: Patterns) -> set[str]:
    """The encodings in which the canary stands in ``source``."""
    return {event.encoding for event in search(source, patterns) if isinstance(event, Found)}


@contextmanager
def control_file(folder: Path, control: Canary) -> Iterator[Path]:
    """A file with a text that no bot ever saw, on disk for as long as the search runs. Raises ``OSError``."""
    path = folder / f".prove-{os.getpid()}"
    _put(path, f"control text of clawmates prove: {control.stem}\n".encode())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Seeds:
    """Where a control text lies, for as long as the search runs."""

    kinds: frozenset[Kind]
    """The search must find it in each of these, or its silence proves nothing."""
    without: tuple[str, ...]
    """Places into which none could be put, with the reason."""


@contextmanager
def seeded(places: Iterable[Place], control: Canary, gone: Canary) -> Iterator[Seeds]:
    """Puts a text that no bot ever saw into a folder of every kind that is to be searched.

    ``gone`` is written to the state folder and deleted at once, as a program does with a temporary file.
    """
    text = f"control text of clawmates prove: {control.stem}\n".encode()
    kinds: set[Kind] = set()
    refused: dict[Kind, str] = {}
    with ExitStack() as stack:
        for place in places:
            if not isinstance(place, Folder) or place.kind in kinds or not place.path.is_dir():
                continue
            path = place.path / f".prove-{os.getpid()}"
            try:
                _put(path, text)
            except OSError as error:
                refused.setdefault(place.kind, f"{place.path}: {os.strerror(error.errno or 0)}")
                continue
            stack.callback(path.unlink, missing_ok=True)
            kinds.add(place.kind)
            if place.kind is Kind.STATE:
                _put_and_remove(place.path, f"deleted text of clawmates prove: {gone.stem}\n".encode())
        without = (f"{kind} ({why})" for kind, why in refused.items() if kind not in kinds)
        yield Seeds(frozenset(kinds), tuple(without))


def _put_and_remove(folder: Path, text: bytes) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
        stream.write(text)


def _put(path: Path, text: bytes) -> None:
    try:
        write_atomic(path, text)
    except OSError as error:
        if error.errno != errno.EOVERFLOW:
            raise
        _put_as_the_owner(path, text)


def _put_as_the_owner(path: Path, text: bytes) -> None:
    """A file system of a user namespace keeps no files of users that the namespace does not know (setfsuid(2))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None)
    owner = os.fstat(folder)
    try:
        libc.setfsgid(owner.st_gid)
        libc.setfsuid(owner.st_uid)
        file = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    finally:
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())
        os.close(folder)
    with open(file, "wb") as stream:  # noqa: PTH123 - it is open already
        stream.write(text)


@contextmanager
def remembering(control: Canary) -> Iterator[int]:
    """A process with the control text in its memory, its arguments and an open file without a name; its id."""
    held = os.memfd_create("control")
    try:
        os.write(held, control.stem.encode())
        waiting = subprocess.Popen(  # noqa: S603 - our own interpreter and a text of our own
            (sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()", control.stem),
            stdin=subprocess.PIPE,
            env={},
            pass_fds=(held,),
        )
    finally:
        os.close(held)
    try:
        yield waiting.pid
    finally:
        waiting.communicate()
