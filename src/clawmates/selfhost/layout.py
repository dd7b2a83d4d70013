"""The folders of a platform: who owns them, and that the runtime folder is RAM."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.selfhost.accounts import Account, account_of, own

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State

REMOVAL_TRIES = 8
"""How often a state folder's removal is tried: for some moments after a container's end the engine's own clean-up
still writes there. With the pauses between them about 6 s."""
RUN_SIZE = "size=256m,mode=0755,nosuid,nodev,noexec"


class LayoutError(Exception):
    """A folder cannot be made as it must be."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder, its mode and its owner."""

    path: Path
    mode: int
    account: Account


def state_folders(state: State, *, hosted: bool = False) -> tuple[Folder, ...]:
    """What lies on disk. Into ``log`` the gateway writes as its owner, the vault by its group, node as root."""
    return (
        Folder(state.root, 0o755, own()),
        Folder(state.pki, 0o711, own()),
        Folder(state.release, 0o755, own()),
        Folder(state.vault, 0o700, account_of("vault")),
        Folder(state.node, 0o700, own()),
        Folder(state.engine, 0o711, own()),
        # Sticky, so that neither can remove the other's.
        Folder(state.log, 0o1775, Account(account_of("gateway").uid, account_of("vault").gid)),
        # Control removes backups that are over, and can open none.
        *(Folder(path, 0o700, account_of("control")) for path in (state.control, state.backup) if hosted),
    )


def run_folders(run: Run, *, hosted: bool = False) -> tuple[Folder, ...]:
    """What lies in RAM."""
    return (
        Folder(run.root, 0o755, own()),
        Folder(run.doors, 0o755, account_of("gateway")),
        Folder(run.gateway.parent, 0o755, account_of("gateway")),
        Folder(run.boot, 0o711, own()),
        Folder(run.node.parent, 0o700, own()),
        Folder(run.engine, 0o711, own()),
        Folder(run.supervisor, 0o700, own()),
        Folder(run.resumed.parent, 0o755, own()),
        *((Folder(run.control.parent, 0o700, account_of("control")),) if hosted else ()),
    )


def make(folders: tuple[Folder, ...]) -> None:
    """Makes folders, or corrects them; raises :class:`LayoutError`."""
    for folder in folders:
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.path.chmod(folder.mode)
            os.chown(folder.path, folder.account.uid, folder.account.gid)
        except OSError as error:
            raise LayoutError(f"{folder.path} cannot be made: {error.strerror}.") from None


def stray(folders: tuple[Folder, ...]) -> tuple[Folder, ...]:
    """Those that are not there, or have another mode or owner than they should."""
    return tuple(folder for folder in folders if not _as_said(folder))


def _as_said(folder: Folder) -> bool:
    try:
        found = folder.path.stat()
    except OSError:
        return False
    return (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (folder.mode, *folder.account.owner)


def is_tmpfs(path: Path, mountinfo: str | None = None) -> bool:
    """Whether ``path`` lies on a tmpfs (proc_pid_mountinfo(5))."""
    text = mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()
    best, kind = -1, ""
    resolved = path.resolve()
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind in {"tmpfs", "ramfs"}


def ensure_tmpfs(run: Run) -> None:
    """Mounts a tmpfs over the runtime folder where it is none; raises :class:`LayoutError`.

    Tickets pass through it, so a folder on a disk is refused.
    """
    try:
        run.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LayoutError(f"{run.root} cannot be made: {error.strerror}.") from None
    if is_tmpfs(run.root):
        return
    if os.geteuid() != 0:
        raise LayoutError(f"{run.root} is not in RAM: as root, mount a tmpfs there.")
    done = subprocess.run(  # noqa: S603 - fixed arguments
        ["/usr/bin/mount", "-t", "tmpfs", "-o", RUN_SIZE, "clawmates", str(run.root)],
        check=False,
        capture_output=True,
    )
    if done.returncode != 0 or not is_tmpfs(run.root):
        raise LayoutError(f"{run.root} is not in RAM and no tmpfs can be mounted there: mount one yourself.")


def in_use(run: Run) -> bool:
    """Whether a platform runs with this runtime folder: its node or its gateway answers there.

    One that may not be called, because we are not root, counts as running.
    """
    return any(_answers(path) for path in (run.node, run.gateway))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return False
        return True


def holds_something(folder: Path) -> bool:
    """Whether anything lies in a folder, which need not be there."""
    return folder.is_dir() and any(folder.iterdir())


def unmount_below(folder: Path) -> None:
    """Unmounts what the engine left mounted below a folder that is about to be removed, innermost first."""
    points = [line.split()[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if folder in Path(point).parents), key=len, reverse=True):
        subprocess.run(["/usr/bin/umount", "--lazy", point], check=False, capture_output=True)  # noqa: S603 - as above


def remove_run(run: Run) -> None:
    """Removes the runtime folder, and the tmpfs that :func:`ensure_tmpfs` mounted where the system had none."""
    if run.root.is_mount():
        subprocess.run(["/usr/bin/umount", "--lazy", str(run.root)], check=False, capture_output=True)  # noqa: S603 - as above
    shutil.rmtree(run.root, ignore_errors=True)


def remove_state(root: Path) -> None:
    """Removes a state folder with all that is mounted or still being written below it; raises ``OSError``."""
    for tried in range(1, REMOVAL_TRIES + 1):
        unmount_below(root)
        try:
            shutil.rmtree(root)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT} or tried == REMOVAL_TRIES:
                raise
            if not root.exists():
                return
            time.sleep(0.05 * 2 ** (tried - 1))
        else:
            return
