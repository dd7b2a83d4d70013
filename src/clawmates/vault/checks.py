"""What must be true before the vault starts; each refusal is one sentence that says what to do."""

from __future__ import annotations

import ctypes
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


class StartError(Exception):
    """The vault cannot trust what it found, and does not start; the text is the sentence to show."""


def require_private(path: Path, found: os.stat_result, kind: int) -> None:
    """Raises :class:`StartError` unless ``path`` is of that kind, ours, and closed to everyone else."""
    if stat.S_IFMT(found.st_mode) != kind:
        raise StartError(f"{path} is not a plain {'folder' if kind == stat.S_IFDIR else 'file'}")
    if found.st_uid != os.geteuid():
        raise StartError(f"{path} belongs to uid {found.st_uid}, not to the vault (uid {os.geteuid()}): chown it")
    if found.st_mode & 0o077:
        mode = 0o700 if kind == stat.S_IFDIR else 0o600
        raise StartError(f"{path} is open to others (mode {found.st_mode & 0o7777:04o}): chmod {mode:04o} it")


def require_private_file(path: Path) -> None:
    """:func:`require_private` for a file, links not followed; a missing one passes."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    require_private(path, found, stat.S_IFREG)


def private_folder(path: Path) -> None:
    """Makes ``path`` 0700 where there is none, and checks it; raises :class:`StartError`."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        require_private(path, path.lstat(), stat.S_IFDIR)
    except OSError as error:
        raise StartError(f"cannot make {path}: {error.strerror}") from None


def keep_out_of_swap(swaps: Path, status: Path) -> bool:
    """Locks all memory where the kernel allows; raises :class:`StartError` where it does not and there is swap.

    ``swaps`` and ``status`` are /proc/swaps and /proc/self/status (proc(5)). Returns whether memory is locked.
    """
    locked = may_lock(status.read_text()) and lock_memory()
    if not locked and has_swap(swaps.read_text()):
        raise StartError("this machine swaps and the vault may not lock its memory: swapoff -a, or grant CAP_IPC_LOCK")
    return locked


def has_swap(swaps: str) -> bool:
    """Whether /proc/swaps lists anything below its heading."""
    return len(swaps.splitlines()) > 1


def may_lock(status: str) -> bool:
    """Whether CAP_IPC_LOCK is held.

    Without it a limit applies, and locking what comes later would make allocations fail once it is reached.
    """
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _CAP_IPC_LOCK & 1)


def lock_memory() -> bool:
    """mlockall(2) for what is and what comes, each page once it is touched; whether the kernel agreed."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
